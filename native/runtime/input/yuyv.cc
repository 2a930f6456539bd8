#include "input/yuyv.h"

#include <algorithm>

namespace selvedge {
namespace {

uint8_t clampByte(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

/// ITU-R BT.601, coefficients times 256: 255/219 for Y; 1.596, 0.813, 0.392 and 2.017 for the colour differences.
void writePixel(int y, int u, int v, uint8_t* rgb) {
  const int luma = 298 * (y - 16) + 128;
  rgb[0] = clampByte((luma + 409 * (v - 128)) >> 8);
  rgb[1] = clampByte((luma - 100 * (u - 128) - 208 * (v - 128)) >> 8);
  rgb[2] = clampByte((luma + 516 * (u - 128)) >> 8);
}

}  // namespace

bool yuyvToRgb(Bytes yuyv, int width, int height, size_t bytesPerRow, Image* image) {
  const size_t rowBytes = static_cast<size_t>(width) * 2;
  if (width < 2 || width % 2 != 0 || height < 1 || bytesPerRow < rowBytes) return false;
  if (yuyv.size < bytesPerRow * static_cast<size_t>(height - 1) + rowBytes) return false;
  image->width = image->sourceWidth = width;
  image->height = image->sourceHeight = height;
  image->rgb.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  uint8_t* rgb = image->rgb.data();
  for (int row = 0; row < height; ++row) {
    const uint8_t* pair = yuyv.data + bytesPerRow * static_cast<size_t>(row);
    for (int column = 0; column < width; column += 2, pair += 4, rgb += 6) {
      writePixel(pair[0], pair[1], pair[3], rgb);
      writePixel(pair[2], pair[1], pair[3], rgb + 3);
    }
  }
  return true;
}

}  // namespace selvedge
