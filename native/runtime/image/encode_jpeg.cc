#include <cstdlib>
#include <cstring>

#include "image/codec.h"
#include "image/jpeg_errors.h"

namespace selvedge {

namespace {

struct Encoder {
  jpeg_compress_struct jpeg;
  JpegErrors errors;
  unsigned char* bytes;
  unsigned long size;
};

bool encodeWith(Encoder* encoder, const uint8_t* rgb, int width, int height, int quality) {
  jpeg_compress_struct* jpeg = &encoder->jpeg;
  if (setjmp(encoder->errors.back)) return false;
  jpeg_create_compress(jpeg);
  jpeg_mem_dest(jpeg, &encoder->bytes, &encoder->size);
  jpeg->image_width = static_cast<JDIMENSION>(width);
  jpeg->image_height = static_cast<JDIMENSION>(height);
  jpeg->input_components = 3;
  jpeg->in_color_space = JCS_RGB;
  jpeg_set_defaults(jpeg);
  jpeg_set_quality(jpeg, quality, TRUE);
  jpeg_start_compress(jpeg, TRUE);
  const size_t stride = static_cast<size_t>(width) * 3;
  while (jpeg->next_scanline < jpeg->image_height) {
    // libjpeg does not write to the rows; its interface is older than const.
    JSAMPROW row = const_cast<JSAMPROW>(rgb + jpeg->next_scanline * stride);
    jpeg_write_scanlines(jpeg, &row, 1);
  }
  jpeg_finish_compress(jpeg);
  return true;
}

}  // namespace

Status encodeJpeg(const Image& image, int quality, std::vector<uint8_t>* jpeg) {
  const bool fits = image.width >= 1 && image.height >= 1 && image.width <= JPEG_MAX_DIMENSION && image.height <= JPEG_MAX_DIMENSION &&
                    image.rgb.size() == static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height) * 3;
  if (!fits || quality < 1 || quality > 100) {
    return Status::error("INPUT_INVALID", "A JPEG has 1 to 65500 pixels in each direction and a quality of 1 to 100.");
  }
  Encoder encoder;
  std::memset(&encoder, 0, sizeof(encoder));
  encoder.jpeg.err = useJpegErrors(&encoder.errors);
  const bool done = encodeWith(&encoder, image.rgb.data(), image.width, image.height, quality);
  jpeg_destroy_compress(&encoder.jpeg);
  if (done) jpeg->assign(encoder.bytes, encoder.bytes + encoder.size);
  std::free(encoder.bytes);
  if (!done) return Status::error("INTERNAL", std::string("The picture could not be encoded: ") + encoder.errors.message);
  return Status::ok();
}

}  // namespace selvedge
