#include "input/camera.h"

#include <fcntl.h>
#include <linux/videodev2.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "input/stream_sources.h"
#include "input/wait_readable.h"
#include "input/yuyv.h"

namespace selvedge {
namespace {

constexpr uint32_t kBuffers = 4;
/// A camera that gives nothing for so long is taken for gone.
constexpr int kSilenceMs = 10'000;

int control(int device, unsigned long request, void* argument) {
  int result = 0;
  do result = ioctl(device, request, argument);
  while (result < 0 && errno == EINTR);
  return result;
}

v4l2_buffer mappedBuffer(uint32_t index) {
  v4l2_buffer buffer = {};
  buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  buffer.memory = V4L2_MEMORY_MMAP;
  buffer.index = index;
  return buffer;
}

}  // namespace

bool parseCamera(const std::string& text, CameraOptions* options) {
  const size_t at = text.rfind('@');
  options->device = text.substr(0, at);
  options->width = options->height = 0;
  if (options->device.empty()) return false;
  return at == std::string::npos || parseSize(text.substr(at + 1), &options->width, &options->height);
}

Camera::~Camera() {
  for (const Buffer& buffer : buffers_) munmap(buffer.data, buffer.size);
  if (device_ >= 0) close(device_);
}

Status Camera::fault(const char* what) const {
  return Status::error("FILE_UNREADABLE", "The camera " + options_.device + " " + what + ": " + std::strerror(errno) + ".");
}

Status Camera::negotiate() {
  v4l2_capability capability = {};
  if (control(device_, VIDIOC_QUERYCAP, &capability) < 0) return fault("is no video device");
  const uint32_t able = (capability.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? capability.device_caps : capability.capabilities;
  if ((able & V4L2_CAP_VIDEO_CAPTURE) == 0 || (able & V4L2_CAP_STREAMING) == 0) {
    return Status::error("INPUT_INVALID", "The device " + options_.device + " does not capture video into mapped buffers.");
  }
  v4l2_format current = {};
  current.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  if (control(device_, VIDIOC_G_FMT, &current) < 0) return fault("does not tell its format");
  for (const uint32_t wanted : {static_cast<uint32_t>(V4L2_PIX_FMT_MJPEG), static_cast<uint32_t>(V4L2_PIX_FMT_YUYV)}) {
    v4l2_format format = current;
    if (options_.width > 0) {
      format.fmt.pix.width = static_cast<uint32_t>(options_.width);
      format.fmt.pix.height = static_cast<uint32_t>(options_.height);
    }
    format.fmt.pix.pixelformat = wanted;
    format.fmt.pix.field = V4L2_FIELD_ANY;
    format.fmt.pix.bytesperline = 0;
    // A driver answers with what it can do instead of refusing.
    if (control(device_, VIDIOC_S_FMT, &format) < 0 || format.fmt.pix.pixelformat != wanted) continue;
    constexpr uint32_t kMaxEdge = 16384;
    if (format.fmt.pix.width > kMaxEdge || format.fmt.pix.height > kMaxEdge) continue;
    jpeg_ = wanted == V4L2_PIX_FMT_MJPEG;
    width_ = static_cast<int>(format.fmt.pix.width);
    height_ = static_cast<int>(format.fmt.pix.height);
    bytesPerRow_ = format.fmt.pix.bytesperline;
    return Status::ok();
  }
  return Status::error("INPUT_INVALID", "The camera " + options_.device + " gives neither MJPEG nor YUYV.");
}

Status Camera::mapBuffers() {
  v4l2_requestbuffers request = {};
  request.count = kBuffers;
  request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  request.memory = V4L2_MEMORY_MMAP;
  if (control(device_, VIDIOC_REQBUFS, &request) < 0) return fault("gives no buffers");
  for (uint32_t index = 0; index < request.count; ++index) {
    v4l2_buffer buffer = mappedBuffer(index);
    if (control(device_, VIDIOC_QUERYBUF, &buffer) < 0) return fault("does not describe its buffers");
    void* data = mmap(nullptr, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, device_, buffer.m.offset);
    if (data == MAP_FAILED) return fault("has buffers that cannot be mapped");
    buffers_.push_back({data, buffer.length});
    if (control(device_, VIDIOC_QBUF, &buffer) < 0) return fault("does not take its buffers");
  }
  return Status::ok();
}

Status Camera::open() {
  device_ = ::open(options_.device.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device_ < 0) return fault("cannot be opened");
  if (Status status = negotiate(); !status.isOk()) return status;
  if (Status status = mapBuffers(); !status.isOk()) return status;
  int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  return control(device_, VIDIOC_STREAMON, &type) < 0 ? fault("does not start") : Status::ok();
}

Next Camera::take(const Buffer& buffer, size_t used, Frame* frame, Status* status) {
  const auto* data = static_cast<const uint8_t*>(buffer.data);
  const size_t size = used < buffer.size ? used : buffer.size;
  frame->name = options_.device;
  frame->decoded = !jpeg_;
  if (jpeg_) {
    frame->encoded.assign(data, data + size);
    return Next::frame;
  }
  if (yuyvToRgb({data, size}, width_, height_, bytesPerRow_, &frame->image)) return Next::frame;
  *status = Status::error("INPUT_INVALID", "The camera " + options_.device + " gave an incomplete frame.");
  return Next::fault;
}

Next Camera::next(Frame* frame, Status* status) {
  for (;;) {
    const Readiness readiness = waitReadable(device_, stopFd_, kSilenceMs);
    if (readiness == Readiness::stopped) return Next::end;
    if (readiness == Readiness::timeout) {
      *status = Status::error("TIMEOUT", "The camera " + options_.device + " gave no frame for 10 seconds.");
      return Next::broken;
    }
    v4l2_buffer buffer = mappedBuffer(0);
    if (control(device_, VIDIOC_DQBUF, &buffer) < 0) {
      if (errno == EAGAIN) continue;
      *status = fault("stopped");
      return Next::broken;
    }
    // A frame that the driver marks as damaged is passed over.
    const bool good = (buffer.flags & V4L2_BUF_FLAG_ERROR) == 0 && buffer.index < buffers_.size() && buffer.bytesused > 0;
    const Next outcome = good ? take(buffers_[buffer.index], buffer.bytesused, frame, status) : Next::frame;
    if (control(device_, VIDIOC_QBUF, &buffer) < 0) {
      *status = fault("stopped");
      return Next::broken;
    }
    if (good) return outcome;
  }
}

}  // namespace selvedge
