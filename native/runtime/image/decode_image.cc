#include <cstring>

#include "image/codec.h"

namespace selvedge {

namespace {

const uint8_t kJpegStart[] = {0xff, 0xd8, 0xff};
const uint8_t kPngStart[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

template <size_t N>
bool beginsWith(Bytes bytes, const uint8_t (&start)[N]) {
  return bytes.size >= N && std::memcmp(bytes.data, start, N) == 0;
}

}  // namespace

Status unreadable(const std::string& why) { return Status::error("INPUT_INVALID", "The picture cannot be decoded: " + why + "."); }

std::string checkPixels(uint32_t width, uint32_t height, const DecodeOptions& options) {
  if (width == 0 || height == 0) return "it has no pixels";
  const uint64_t limit = options.maxPixels > 0 ? static_cast<uint64_t>(options.maxPixels) : 0;
  if (static_cast<uint64_t>(width) * height <= limit) return {};
  return "it has " + std::to_string(width) + " x " + std::to_string(height) + " pixels; " + std::to_string(limit) + " are allowed";
}

bool allocatePixels(uint32_t width, uint32_t height, Image* image) {
  const uint64_t size = static_cast<uint64_t>(width) * height * 3;
  if (size > image->rgb.max_size()) return false;
  image->rgb.resize(static_cast<size_t>(size));
  image->width = static_cast<int>(width);
  image->height = static_cast<int>(height);
  return true;
}

Status decodeImage(Bytes bytes, const DecodeOptions& options, Image* image) {
  if (bytes.data != nullptr && beginsWith(bytes, kJpegStart)) return decodeJpeg(bytes, options, image);
  if (bytes.data != nullptr && beginsWith(bytes, kPngStart)) return decodePng(bytes, options, image);
  return unreadable("it is not a JPEG or PNG file");
}

}  // namespace selvedge
