// Opens packages beside the loop and the worker, one at a time.
#ifndef SELVEDGE_SERVE_MODEL_LOADER_H
#define SELVEDGE_SERVE_MODEL_LOADER_H

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/bytes.h"
#include "base/status.h"
#include "pipeline/pipeline.h"
#include "serve/server.h"

namespace selvedge::serve {

struct LoadedModel {
  Status status;
  /// nullptr unless the status is ok: opened, and its self-test passed.
  std::unique_ptr<Pipeline> pipeline;
  /// What was asked for.
  std::string modelPath;
  double selfTestDifference = 0;
  double loadMs = 0;
};

class ModelLoader {
 public:
  /// @param wake - called on the loader's thread when take() has something.
  ModelLoader(PipelineFactory open, std::function<void()> wake) : open_(std::move(open)), wake_(std::move(wake)) {}
  ~ModelLoader();
  ModelLoader(const ModelLoader&) = delete;
  ModelLoader& operator=(const ModelLoader&) = delete;

  /// Only when not busy.
  void start(const PipelineOptions& options);
  bool isBusy() const { return thread_.joinable(); }
  /// @returns false when nothing is loaded yet.
  bool take(LoadedModel* loaded);

 private:
  const PipelineFactory open_;
  const std::function<void()> wake_;
  std::thread thread_;
  std::atomic<bool> isDone_{false};
  LoadedModel loaded_;
};

/// Model and version of a package folder's manifest, to name them before the package is loaded; both empty when they cannot
/// be read, which loading then explains.
void readPackageName(const std::string& folder, std::string* model, std::string* version);

/// Where a model file named by a client lies: in the package folder, whatever links it goes through.
/// @returns INPUT_INVALID when it would lie elsewhere; FILE_UNREADABLE when it is not a file.
Status confineModelFile(const std::string& folder, const std::string& relative, std::string* path);

/// Body of a load request: {"parameters": {"model_file": path}}, all of it optional. `file` stays empty without one.
/// @returns INPUT_INVALID.
Status parseLoadRequest(Bytes body, std::string* file);

}  // namespace selvedge::serve

#endif
