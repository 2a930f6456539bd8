#include "input/stream_sources.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

#include "input/read_file.h"
#include "input/wait_readable.h"

namespace selvedge {
namespace {

constexpr size_t kChunkBytes = 256 * 1024;
constexpr int kMaxEdge = 16384;
constexpr int64_t kMaxPixels = 64LL * 1000 * 1000;

/// One read(). @returns bytes; 0 at the end or when stopping; -1 with errno (ETIMEDOUT when nothing came in time).
ssize_t readSome(int fd, int stopFd, int timeoutMs, uint8_t* data, size_t size) {
  for (;;) {
    const Readiness readiness = waitReadable(fd, stopFd, timeoutMs);
    if (readiness == Readiness::stopped) return 0;
    if (readiness == Readiness::timeout) {
      errno = ETIMEDOUT;
      return -1;
    }
    const ssize_t count = read(fd, data, size);
    if (count >= 0 || (errno != EINTR && errno != EAGAIN)) return count;
  }
}

Next broken(const std::string& name, Status* status) {
  *status = Status::error("FILE_UNREADABLE", name + ": " + std::strerror(errno) + ".");
  return Next::broken;
}

}  // namespace

PictureStream::PictureStream(int fd, int stopFd, std::string name, int longestSilenceMs)
    : fd_(fd), stopFd_(stopFd), name_(std::move(name)), longestSilenceMs_(longestSilenceMs), splitter_(kMaxPictureBytes) {}

void PictureStream::restart(int fd) {
  fd_ = fd;
  splitter_ = PictureSplitter(kMaxPictureBytes);
  ended_ = false;
}

Next PictureStream::next(Frame* frame, Status* status) {
  frame->name = name_;
  frame->decoded = false;
  std::string why;
  for (;;) {
    const PictureSplitter::Outcome outcome = splitter_.next(&frame->encoded, &why);
    if (outcome == PictureSplitter::Outcome::picture) return Next::frame;
    if (outcome == PictureSplitter::Outcome::fault) {
      *status = Status::error("INPUT_INVALID", why);
      return Next::fault;
    }
    if (ended_) return Next::end;
    chunk_.resize(kChunkBytes);
    const ssize_t count = readSome(fd_, stopFd_, longestSilenceMs_, chunk_.data(), chunk_.size());
    if (count < 0 && errno == ETIMEDOUT) {
      *status = Status::error("TIMEOUT", "nothing came for " + std::to_string(longestSilenceMs_ / 1000) + " s");
      return Next::broken;
    }
    if (count < 0) return broken(name_, status);
    splitter_.feed({chunk_.data(), static_cast<size_t>(count)});
    if (count > 0) continue;
    ended_ = true;
    if (!splitter_.hasRest() || waitReadable(-1, stopFd_, 0) == Readiness::stopped) return Next::end;
    splitter_ = PictureSplitter(kMaxPictureBytes);
    *status = Status::error("INPUT_INVALID", "The stream ends inside a picture.");
    return Next::fault;
  }
}

RawStream::RawStream(int fd, int stopFd, std::string name, int width, int height)
    : fd_(fd), stopFd_(stopFd), name_(std::move(name)), width_(width), height_(height) {}

Next RawStream::next(Frame* frame, Status* status) {
  frame->name = name_;
  frame->decoded = true;
  Image& image = frame->image;
  image.width = image.sourceWidth = width_;
  image.height = image.sourceHeight = height_;
  image.rgb.resize(static_cast<size_t>(width_) * static_cast<size_t>(height_) * 3);
  size_t done = 0;
  while (done < image.rgb.size()) {
    const ssize_t count = readSome(fd_, stopFd_, -1, image.rgb.data() + done, image.rgb.size() - done);
    if (count < 0) return broken(name_, status);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  if (done == image.rgb.size()) return Next::frame;
  if (done == 0 || waitReadable(-1, stopFd_, 0) == Readiness::stopped) return Next::end;
  *status = Status::error("INPUT_INVALID", "The stream ends inside a frame: " + std::to_string(done) + " of " +
                                               std::to_string(image.rgb.size()) + " bytes.");
  return Next::fault;
}

bool parseSize(const std::string& text, int* width, int* height) {
  int* edges[2] = {width, height};
  size_t at = 0;
  for (int part = 0; part < 2; ++part) {
    int value = 0;
    const size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && value <= kMaxEdge) value = value * 10 + (text[at++] - '0');
    if (at == start || value < 1 || value > kMaxEdge) return false;
    *edges[part] = value;
    if (part == 0 && (at >= text.size() || text[at++] != 'x')) return false;
  }
  return at == text.size() && static_cast<int64_t>(*width) * *height <= kMaxPixels;
}

}  // namespace selvedge
