// Pictures from anywhere: the decoders must give pixels or an error, in bounded time and memory. The first byte chooses the
// options, so that corpus files are pictures with one byte before them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "image/image.h"

using namespace selvedge;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  DecodeOptions options;
  options.maxPixels = 256 * 1024;
  options.fast = (data[0] & 1) != 0;
  if ((data[0] & 2) != 0) options.minWidth = options.minHeight = 1 + (data[0] >> 2);
  Image image;
  if (!decodeImage({data + 1, size - 1}, options, &image).isOk()) return 0;
  const size_t pixels = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  if (image.rgb.size() != pixels * 3 || pixels == 0) std::abort();
  if (image.width < options.minWidth && image.sourceWidth >= options.minWidth && image.sourceHeight >= options.minHeight) std::abort();
  std::vector<uint8_t> jpeg;
  if (!encodeJpeg(image, 50, &jpeg).isOk() && image.width <= 65500 && image.height <= 65500) std::abort();
  return 0;
}
