#include "app/test_picture.h"

#include <algorithm>

namespace selvedge {
namespace {

constexpr int kShapes = 24;
constexpr int kGrain = 9;

/// xorshift32.
class Noise {
 public:
  uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }
  int below(int limit) { return static_cast<int>(next() % static_cast<uint32_t>(limit)); }

 private:
  uint32_t state_ = 0x5e17ed9e;
};

uint8_t clampByte(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

struct Shape {
  int x, y, radius;
  bool round;
  int colour[3];

  bool covers(int px, int py) const {
    const int dx = px - x;
    const int dy = py - y;
    return round ? dx * dx + dy * dy <= radius * radius : std::abs(dx) <= radius && std::abs(dy) <= radius / 2;
  }
};

}  // namespace

Image makeTestPicture(int width, int height) {
  Image image;
  image.width = image.sourceWidth = width;
  image.height = image.sourceHeight = height;
  image.rgb.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  Noise noise;
  Shape shapes[kShapes];
  for (Shape& shape : shapes) {
    shape = {noise.below(width), noise.below(height), 8 + noise.below(std::max(1, height / 6)), noise.below(2) == 0, {}};
    for (int& channel : shape.colour) channel = noise.below(256);
  }
  uint8_t* pixel = image.rgb.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x, pixel += 3) {
      int colour[3] = {80 + 100 * x / width, 60 + 120 * y / height, 150 - 60 * x / width};
      for (const Shape& shape : shapes) {
        if (shape.covers(x, y)) std::copy(shape.colour, shape.colour + 3, colour);
      }
      const int grain = noise.below(2 * kGrain + 1) - kGrain;
      for (int channel = 0; channel < 3; ++channel) pixel[channel] = clampByte(colour[channel] + grain);
    }
  }
  return image;
}

}  // namespace selvedge
