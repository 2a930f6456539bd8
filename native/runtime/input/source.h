// Where pictures come from: files, a folder, a stream, a camera, a video.
#ifndef SELVEDGE_INPUT_SOURCE_H
#define SELVEDGE_INPUT_SOURCE_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "image/image.h"

namespace selvedge {

/// One picture, encoded or decoded.
struct Frame {
  /// For people and the "input" of a JSON line: a path, "stdin", an address without credentials.
  std::string name;
  bool decoded = false;
  std::vector<uint8_t> encoded;
  Image image;
};

enum class Next {
  /// The frame is filled.
  frame,
  /// This one could not be had (the status says why, the frame has its name); the source goes on.
  fault,
  /// No more pictures.
  end,
  /// The source cannot go on; the status says why.
  broken,
};

/// Waiting ends at once when `stopFd` becomes readable: the answer is then `end`.
class Source {
 public:
  virtual ~Source() = default;
  virtual Next next(Frame* frame, Status* status) = 0;
  /// Never ends by itself (camera, watched folder, RTSP).
  virtual bool endless() const { return false; }
  /// Pictures that came while the model was busy and were passed over.
  virtual uint64_t dropped() const { return 0; }
};

struct SourceOptions {
  /// Folders are watched.
  bool watch = false;
  /// Readable as soon as the process is asked to stop; -1: never.
  int stopFd = -1;
};

/// Whether an `--input` of this form never ends by itself.
bool isEndless(const std::string& input, bool watch);

/// Opens what the value of `--input` names; the forms are in app/help.cc.
/// @returns USAGE for a value that cannot be understood; SETUP_INCOMPLETE without ffmpeg; FILE_UNREADABLE.
Status openSource(const std::string& input, const SourceOptions& options, std::unique_ptr<Source>* source);

}  // namespace selvedge

#endif
