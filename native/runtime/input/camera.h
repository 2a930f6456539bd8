// A camera of the kernel (V4L2): MJPEG when it has it, else YUYV; frames through mapped buffers.
#ifndef SELVEDGE_INPUT_CAMERA_H
#define SELVEDGE_INPUT_CAMERA_H

#include <string>
#include <vector>

#include "input/source.h"

namespace selvedge {

struct CameraOptions {
  std::string device;
  /// Wanted size; 0: the one the camera is set to. The camera may choose the nearest that it has.
  int width = 0, height = 0;
};

/// "/dev/video0" or "/dev/video0@1280x720".
bool parseCamera(const std::string& text, CameraOptions* options);

class Camera final : public Source {
 public:
  Camera(CameraOptions options, int stopFd) : options_(std::move(options)), stopFd_(stopFd) {}
  ~Camera() override;
  /// @returns FILE_UNREADABLE when it cannot be opened or is no camera; INPUT_INVALID when it gives neither MJPEG nor YUYV.
  Status open();
  Next next(Frame* frame, Status* status) override;
  bool endless() const override { return true; }

 private:
  struct Buffer {
    void* data = nullptr;
    size_t size = 0;
  };

  Status fault(const char* what) const;
  Status negotiate();
  Status mapBuffers();
  Next take(const Buffer& buffer, size_t used, Frame* frame, Status* status);

  CameraOptions options_;
  int stopFd_;
  int device_ = -1;
  bool jpeg_ = false;
  int width_ = 0, height_ = 0;
  size_t bytesPerRow_ = 0;
  std::vector<Buffer> buffers_;
};

}  // namespace selvedge

#endif
