// Pictures: 8-bit RGB, decoded from untrusted bytes.
#ifndef SELVEDGE_IMAGE_IMAGE_H
#define SELVEDGE_IMAGE_IMAGE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace selvedge {

struct Image {
  /// Pixels, rows from the top, R G B, without padding: width * height * 3 bytes. Kept when the picture is reused.
  std::vector<uint8_t> rgb;
  int width = 0;
  int height = 0;
  /// Size before a DCT-scaled decode made it smaller; boxes are reported in these pixels.
  int sourceWidth = 0;
  int sourceHeight = 0;
};

struct DecodeOptions {
  /// The decoder may give a picture scaled down as long as both edges stay at least this large; 0: full size.
  int minWidth = 0;
  int minHeight = 0;
  /// Larger pictures are refused before memory is taken; default 64 megapixels.
  int64_t maxPixels = 64LL * 1000 * 1000;
  /// JPEG: a faster, less exact inverse transform and upsampling of colour. The pixels are no longer the reference's.
  bool fast = false;
};

/// JPEG or PNG, told by their first bytes, to RGB: grey is repeated, alpha dropped, 16 bits become the upper 8, EXIF
/// orientation and colour profiles are ignored. At full size and without `fast` the pixels are the reference decoder's,
/// bit for bit. Reuses the memory of `image`, whose content is undefined after an error.
/// @returns INPUT_INVALID for anything that is not a whole picture of a supported kind; also for JPEGs in CMYK, since the
/// reference converts them by a colour profile of its own.
Status decodeImage(Bytes bytes, const DecodeOptions& options, Image* image);

/// @param quality - 1 .. 100.
/// @returns INPUT_INVALID for another quality, or a picture that no JPEG can hold.
Status encodeJpeg(const Image& image, int quality, std::vector<uint8_t>* jpeg);

}  // namespace selvedge

#endif
