// Pictures out of a file descriptor: concatenated JPEGs and PNGs, or raw frames of one size.
#ifndef SELVEDGE_INPUT_STREAM_SOURCES_H
#define SELVEDGE_INPUT_STREAM_SOURCES_H

#include <string>

#include "input/picture_splitter.h"
#include "input/source.h"

namespace selvedge {

/// @param fd - is not closed.
/// @param longestSilenceMs - when no byte comes for so long, the answer is `broken` with the code TIMEOUT; -1: it may last.
class PictureStream final : public Source {
 public:
  PictureStream(int fd, int stopFd, std::string name, int longestSilenceMs = -1);
  Next next(Frame* frame, Status* status) override;
  /// Reads on from another descriptor; what was left of the old stream is forgotten.
  void restart(int fd);

 private:
  int fd_;
  int stopFd_;
  std::string name_;
  int longestSilenceMs_;
  PictureSplitter splitter_;
  std::vector<uint8_t> chunk_;
  bool ended_ = false;
};

/// Frames of width * height * 3 bytes, R G B.
class RawStream final : public Source {
 public:
  RawStream(int fd, int stopFd, std::string name, int width, int height);
  Next next(Frame* frame, Status* status) override;

 private:
  int fd_;
  int stopFd_;
  std::string name_;
  int width_, height_;
};

/// "640x480" with edges of 1 .. 16384 and at most 64 megapixels.
bool parseSize(const std::string& text, int* width, int* height);

}  // namespace selvedge

#endif
