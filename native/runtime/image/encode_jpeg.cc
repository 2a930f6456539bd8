#include "image/image.h"

// libjpeg's encoder would be a tenth of the executable, and only frames that are drawn on and test pictures are encoded.
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-function"
// It shifts bits out of negative numbers, which every compiler does as it means, and C++17 does not define.
#pragma clang attribute push(__attribute__((no_sanitize("shift"))), apply_to = function)
#include <stb/stb_image_write.h>
#pragma clang attribute pop
#pragma clang diagnostic pop

namespace selvedge {

namespace {

constexpr int kMaxEdge = 65500;

void append(void* target, void* bytes, int size) {
  const auto* first = static_cast<const uint8_t*>(bytes);
  static_cast<std::vector<uint8_t>*>(target)->insert(static_cast<std::vector<uint8_t>*>(target)->end(), first, first + size);
}

}  // namespace

Status encodeJpeg(const Image& image, int quality, std::vector<uint8_t>* jpeg) {
  const bool fits = image.width >= 1 && image.height >= 1 && image.width <= kMaxEdge && image.height <= kMaxEdge &&
                    image.rgb.size() == static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height) * 3;
  if (!fits || quality < 1 || quality > 100) {
    return Status::error("INPUT_INVALID", "A JPEG has 1 to 65500 pixels in each direction and a quality of 1 to 100.");
  }
  jpeg->clear();
  if (stbi_write_jpg_to_func(append, jpeg, image.width, image.height, 3, image.rgb.data(), quality) == 0) {
    return Status::error("INTERNAL", "The picture could not be encoded.");
  }
  return Status::ok();
}

}  // namespace selvedge
