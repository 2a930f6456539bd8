// The packed 4:2:2 format of cameras without a JPEG encoder.
#ifndef SELVEDGE_INPUT_YUYV_H
#define SELVEDGE_INPUT_YUYV_H

#include <cstddef>

#include "base/bytes.h"
#include "image/image.h"

namespace selvedge {

/// Y0 U Y1 V, BT.601 with video range (16..235), to RGB within one step of the exact formula.
/// @param width - even. @param bytesPerRow - at least width * 2.
/// @returns false when `yuyv` is too short for such a picture.
bool yuyvToRgb(Bytes yuyv, int width, int height, size_t bytesPerRow, Image* image);

}  // namespace selvedge

#endif
