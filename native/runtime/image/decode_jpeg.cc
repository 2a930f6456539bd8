#include <cstring>

#include "image/codec.h"
#include "image/jpeg_errors.h"

#include <jerror.h>

namespace selvedge {

namespace {

// A progressive file may repeat scans that cost time and no bytes. libvips, which the reference decoder is made of, stops
// at the same number.
constexpr int kMaxScans = 100;

/// What the steps of one decode share.
struct Decoder {
  jpeg_decompress_struct jpeg;
  JpegErrors errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  /// Filled with one constant text, so that the functions below need no object.
  const char* refusal;
};

void doNothing(j_decompress_ptr) {}

/// All bytes were given at the start: being asked for more means that the file is cut.
boolean failAtEnd(j_decompress_ptr jpeg) {
  ERREXIT(jpeg, JERR_INPUT_EOF);
  return FALSE;
}

void skipInput(j_decompress_ptr jpeg, long count) {
  if (count <= 0) return;
  jpeg_source_mgr* source = jpeg->src;
  if (static_cast<size_t>(count) > source->bytes_in_buffer) ERREXIT(jpeg, JERR_INPUT_EOF);
  source->next_input_byte += count;
  source->bytes_in_buffer -= static_cast<size_t>(count);
}

void limitScans(j_common_ptr info) {
  auto* jpeg = reinterpret_cast<j_decompress_ptr>(info);
  if (jpeg->input_scan_number > kMaxScans) ERREXIT(info, JERR_BAD_PROGRESSION);
}

void useBytes(Decoder* decoder, Bytes bytes) {
  jpeg_source_mgr& source = decoder->source;
  source.next_input_byte = bytes.data;
  source.bytes_in_buffer = bytes.size;
  source.init_source = doNothing;
  source.fill_input_buffer = failAtEnd;
  source.skip_input_data = skipInput;
  source.resync_to_restart = jpeg_resync_to_restart;
  source.term_source = doNothing;
  decoder->jpeg.src = &source;
  decoder->progress.progress_monitor = limitScans;
  decoder->jpeg.progress = &decoder->progress;
}

/// Huffman codes of a sequential file have at least one bit, two per block: what is shorter cannot hold its picture. This
/// keeps a few bytes that claim to be a huge picture from taking the memory of one.
bool canHold(const jpeg_decompress_struct& jpeg, size_t size) {
  if (jpeg.progressive_mode || jpeg.arith_code) return true;
  const jpeg_component_info& first = jpeg.comp_info[0];
  const uint64_t blocks = static_cast<uint64_t>(first.width_in_blocks) * first.height_in_blocks;
  return blocks <= static_cast<uint64_t>(size) * 4;
}

/// The smallest of 1/1, 1/2, 1/4, 1/8 whose edges are both at least as large as asked for.
void chooseScale(const DecodeOptions& options, jpeg_decompress_struct* jpeg) {
  jpeg->scale_num = 1;
  jpeg->scale_denom = 1;
  if (options.minWidth <= 0 || options.minHeight <= 0) return;
  for (unsigned denominator = 8; denominator > 1; denominator /= 2) {
    const unsigned width = (jpeg->image_width + denominator - 1) / denominator;
    const unsigned height = (jpeg->image_height + denominator - 1) / denominator;
    if (width >= static_cast<unsigned>(options.minWidth) && height >= static_cast<unsigned>(options.minHeight)) {
      jpeg->scale_denom = denominator;
      return;
    }
  }
}

void configure(const DecodeOptions& options, jpeg_decompress_struct* jpeg) {
  jpeg->out_color_space = JCS_RGB;
  jpeg->dct_method = options.fast ? JDCT_IFAST : JDCT_ISLOW;
  jpeg->do_fancy_upsampling = options.fast ? FALSE : TRUE;
  chooseScale(options, jpeg);
}

/// Reads and checks the header. @returns false when it was refused or damaged.
bool readHeader(Decoder* decoder, Bytes bytes, const DecodeOptions& options) {
  jpeg_decompress_struct* jpeg = &decoder->jpeg;
  if (setjmp(decoder->errors.back)) return false;
  jpeg_create_decompress(jpeg);
  useBytes(decoder, bytes);
  jpeg_read_header(jpeg, TRUE);
  // The reference converts CMYK through a colour profile of its own; values that only resemble those are worth nothing.
  if (jpeg->num_components != 1 && jpeg->num_components != 3) {
    decoder->refusal = "it is a JPEG in CMYK or the like; only grey and RGB colours are read";
    return false;
  }
  if (!canHold(*jpeg, bytes.size)) {
    decoder->refusal = "it is cut off or damaged";
    return false;
  }
  configure(options, jpeg);
  jpeg_calc_output_dimensions(jpeg);
  return true;
}

/// @param rgb - room for output_width * output_height * 3 bytes.
bool readPixels(Decoder* decoder, uint8_t* rgb) {
  jpeg_decompress_struct* jpeg = &decoder->jpeg;
  if (setjmp(decoder->errors.back)) return false;
  jpeg_start_decompress(jpeg);
  if (jpeg->output_components != 3) return false;
  const size_t stride = static_cast<size_t>(jpeg->output_width) * 3;
  while (jpeg->output_scanline < jpeg->output_height) {
    JSAMPROW rows[4];
    for (size_t i = 0; i < 4; i++) {
      const size_t row = jpeg->output_scanline + i;
      rows[i] = rgb + (row < jpeg->output_height ? row : jpeg->output_height - 1) * stride;
    }
    const JDIMENSION left = jpeg->output_height - jpeg->output_scanline;
    jpeg_read_scanlines(jpeg, rows, left < 4 ? left : 4);
  }
  // Also reads the scans behind the last row, so that a cut end is seen.
  jpeg_finish_decompress(jpeg);
  return true;
}

Status fault(const Decoder& decoder) {
  if (decoder.refusal != nullptr) return unreadable(decoder.refusal);
  return unreadable(decoder.errors.message[0] == '\0' ? "it is damaged" : decoder.errors.message);
}

Status decodeWith(Decoder* decoder, Bytes bytes, const DecodeOptions& options, Image* image) {
  if (!readHeader(decoder, bytes, options)) return fault(*decoder);
  const jpeg_decompress_struct& jpeg = decoder->jpeg;
  const std::string tooLarge = checkPixels(jpeg.image_width, jpeg.image_height, options);
  if (!tooLarge.empty()) return unreadable(tooLarge);
  if (!allocatePixels(jpeg.output_width, jpeg.output_height, image)) return unreadable("it does not fit into memory");
  if (!readPixels(decoder, image->rgb.data())) return fault(*decoder);
  image->sourceWidth = static_cast<int>(jpeg.image_width);
  image->sourceHeight = static_cast<int>(jpeg.image_height);
  return Status::ok();
}

}  // namespace

Status decodeJpeg(Bytes bytes, const DecodeOptions& options, Image* image) {
  Decoder decoder;
  std::memset(&decoder, 0, sizeof(decoder));
  decoder.jpeg.err = useJpegErrors(&decoder.errors);
  Status status = decodeWith(&decoder, bytes, options, image);
  // Fine at every point: what was never created has no memory manager and is left alone.
  jpeg_destroy_decompress(&decoder.jpeg);
  return status;
}

}  // namespace selvedge
