// The HTTP server of a package: Open Inference Protocol v2, POST /v1/infer, /health, /metrics, and the agent's channel.
#ifndef SELVEDGE_SERVE_SERVER_H
#define SELVEDGE_SERVE_SERVER_H

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "pipeline/pipeline.h"

namespace selvedge {

struct ServeOptions {
  std::string host = "127.0.0.1";
  /// 0 picks a free one.
  int port = 0;
  /// Requests that may wait for the model, the one that is computed included; the next is answered 429. 1 .. 4096.
  int queueLimit = 64;
  /// How long SIGTERM waits for what was begun, milliseconds.
  int drainMs = 10'000;
  /// Talk to a Node parent when NODE_CHANNEL_FD is in the environment.
  bool agentChannel = true;
  /// Answer POST /v2/repository/models/NAME/load. SIGHUP reloads in any case.
  bool allowReload = false;

  int maxConnections = 512;
  /// A request's head must be whole this long after its first byte (or after the connection was made).
  int headerTimeoutMs = 10'000;
  /// A request must be whole this long after its first byte; an answer must be taken in the same time.
  int requestTimeoutMs = 60'000;
  /// A connection may be silent between two requests for this long.
  int idleTimeoutMs = 60'000;
  int64_t maxBodyBytes = 16 * 1024 * 1024;
  /// Bodies of all connections together; a request that needs more is answered 429. Bodies up to 64 KiB always find room.
  int64_t maxBufferedBytes = 64 * 1024 * 1024;
};

/// Opens a package; called on a thread of its own, at the start and at each reload.
using PipelineFactory = std::function<Status(const PipelineOptions&, std::unique_ptr<Pipeline>*)>;

/// Opens the port at once and loads the package behind it, so that health can be asked all along; serves until SIGTERM or
/// SIGINT, then finishes what was begun. Prints {"event":"listening","port":N} on stdout.
///
/// SIGHUP loads the model file again and changes over between two requests; a bad file leaves the old model serving.
///
/// @returns the exit code: 0 after a drain; otherwise that of the error, 4 when the port is taken say.
int runServer(const PipelineOptions& pipeline, const ServeOptions& options, const PipelineFactory& open);

}  // namespace selvedge

#endif
