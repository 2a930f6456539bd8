// The codecs behind decodeImage and encodeJpeg. Private to this folder.
#ifndef SELVEDGE_IMAGE_CODEC_H
#define SELVEDGE_IMAGE_CODEC_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"

namespace selvedge {

Status decodeJpeg(Bytes bytes, const DecodeOptions& options, Image* image);
Status decodePng(Bytes bytes, const DecodeOptions& options, Image* image);

/// The error of every decoder: the picture cannot be decoded, and why.
Status unreadable(const std::string& why);
/// Why a picture is too large, or an empty text.
std::string checkPixels(uint32_t width, uint32_t height, const DecodeOptions& options);
/// Gives `image` room for its pixels. @returns false when there is no memory.
bool allocatePixels(uint32_t width, uint32_t height, Image* image);

}  // namespace selvedge

#endif
