#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

#include "image/codec.h"

namespace selvedge {

namespace {

// As libpng's own limit; the product is checked against DecodeOptions.maxPixels.
constexpr uint32_t kMaxEdge = 1000 * 1000;
constexpr png_alloc_size_t kMaxChunkBytes = 8 * 1000 * 1000;
// zlib's format cannot give more bytes than this for one.
constexpr uint64_t kMaxInflation = 1032;

/// What the steps of one decode share. Functions that call setjmp have no object with a destructor (see jpeg_errors.h).
struct Decoder {
  png_structp png;
  png_infop info;
  std::jmp_buf back;
  Bytes rest;
  char message[160];
};

[[noreturn]] void jumpBack(png_structp png, png_const_charp message) {
  auto* decoder = static_cast<Decoder*>(png_get_error_ptr(png));
  std::snprintf(decoder->message, sizeof(decoder->message), "%s", message);
  std::longjmp(decoder->back, 1);
}

void ignoreWarning(png_structp, png_const_charp) {}

void readBytes(png_structp png, png_bytep to, size_t count) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (count > decoder->rest.size) png_error(png, "it is cut off");
  std::memcpy(to, decoder->rest.data, count);
  decoder->rest.data += count;
  decoder->rest.size -= count;
}

/// Every colour type and depth to 8-bit RGB, from the stored values alone.
void configure(png_structp png, png_infop info) {
  const int colorType = png_get_color_type(png, info);
  if (colorType == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (colorType == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (png_get_bit_depth(png, info) == 16) png_set_strip_16(png);
  // Also of palettes with tRNS, which unpack to RGBA.
  png_set_strip_alpha(png);
  if ((colorType & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png);
}

bool readHeader(Decoder* decoder) {
  if (setjmp(decoder->back)) return false;
  png_structp png = decoder->png;
  png_set_user_limits(png, kMaxEdge, kMaxEdge);
  png_set_chunk_malloc_max(png, kMaxChunkBytes);
  // Nothing but header, palette and pixels counts: texts, profiles and the like are not unpacked.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_read_fn(png, decoder, readBytes);
  png_read_info(png, decoder->info);
  return true;
}

/// @param rgb - room for width * height * 3 bytes.
bool readPixels(Decoder* decoder, uint8_t* rgb) {
  if (setjmp(decoder->back)) return false;
  png_structp png = decoder->png;
  const uint32_t width = png_get_image_width(png, decoder->info);
  const uint32_t height = png_get_image_height(png, decoder->info);
  configure(png, decoder->info);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, decoder->info);
  const size_t stride = static_cast<size_t>(width) * 3;
  if (png_get_rowbytes(png, decoder->info) != stride) png_error(png, "its colours are of an unknown kind");
  for (int pass = 0; pass < passes; pass++) {
    for (uint32_t row = 0; row < height; row++) png_read_row(png, rgb + row * stride, nullptr);
  }
  // What follows the pixels is not looked at, as the reference decoder does not.
  return true;
}

Status fault(const Decoder& decoder) { return unreadable(decoder.message[0] == '\0' ? "it is damaged" : decoder.message); }

Status decodeWith(Decoder* decoder, size_t size, const DecodeOptions& options, Image* image) {
  if (!readHeader(decoder)) return fault(*decoder);
  const uint32_t width = png_get_image_width(decoder->png, decoder->info);
  const uint32_t height = png_get_image_height(decoder->png, decoder->info);
  const std::string tooLarge = checkPixels(width, height, options);
  if (!tooLarge.empty()) return unreadable(tooLarge);
  // Before the pixels take memory: could so few bytes hold them at all?
  const uint64_t packed = static_cast<uint64_t>(png_get_rowbytes(decoder->png, decoder->info)) * height;
  if (packed / kMaxInflation > size) return unreadable("it is cut off or damaged");
  if (!allocatePixels(width, height, image)) return unreadable("it does not fit into memory");
  if (!readPixels(decoder, image->rgb.data())) return fault(*decoder);
  image->sourceWidth = image->width;
  image->sourceHeight = image->height;
  return Status::ok();
}

}  // namespace

Status decodePng(Bytes bytes, const DecodeOptions& options, Image* image) {
  Decoder decoder;
  std::memset(&decoder, 0, sizeof(decoder));
  decoder.rest = bytes;
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, jumpBack, ignoreWarning);
  if (decoder.png == nullptr) return Status::error("INTERNAL", "The PNG decoder could not be started.");
  decoder.info = png_create_info_struct(decoder.png);
  Status status = decoder.info == nullptr ? Status::error("INTERNAL", "The PNG decoder could not be started.")
                                          : decodeWith(&decoder, bytes.size, options, image);
  png_destroy_read_struct(&decoder.png, &decoder.info, nullptr);
  return status;
}

}  // namespace selvedge
