#include "ops/row_kernels.h"

#include <cstring>

// Whatever the flags say: a fused multiply-add rounds once where the reference rounds twice.
#pragma STDC FP_CONTRACT OFF

namespace selvedge {

namespace {

// Four lanes are what every target has. Written with the compiler's vector types since it does not vectorise float loops by
// itself for ARMv7, where NEON differs from IEEE 754 for denormal numbers; sums and products of bytes and of usual scales
// never come near those.
typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef uint8_t Bytes4 __attribute__((vector_size(4)));

constexpr size_t kLanes = 4;

Floats load(const float* from) {
  Floats values;
  std::memcpy(&values, from, sizeof(values));
  return values;
}

void store(Floats values, float* to) { std::memcpy(to, &values, sizeof(values)); }

Floats all(float value) { return Floats{value, value, value, value}; }

/// Four bytes as floats: one pixel and a byte that does not matter.
Floats loadPixel(const uint8_t* from) {
  Bytes4 bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return __builtin_convertvector(__builtin_convertvector(bytes, Ints), Floats);
}

Floats lerpPixel(const uint8_t* row, int32_t low, float weight) {
  const uint8_t* at = row + static_cast<size_t>(low) * 3;
  const Floats a = loadPixel(at);
  const Floats b = loadPixel(at + 3);
  return a + all(weight) * (b - a);
}

/// Four pixels R G B _ to the four values of each channel.
void storePlanes(const Floats (&pixel)[kLanes], size_t x, float* const* out) {
  const Floats rg01 = __builtin_shufflevector(pixel[0], pixel[1], 0, 4, 1, 5);
  const Floats rg23 = __builtin_shufflevector(pixel[2], pixel[3], 0, 4, 1, 5);
  const Floats b01 = __builtin_shufflevector(pixel[0], pixel[1], 2, 6, 2, 6);
  const Floats b23 = __builtin_shufflevector(pixel[2], pixel[3], 2, 6, 2, 6);
  store(__builtin_shufflevector(rg01, rg23, 0, 1, 4, 5), out[0] + x);
  store(__builtin_shufflevector(rg01, rg23, 2, 3, 6, 7), out[1] + x);
  store(__builtin_shufflevector(b01, b23, 0, 1, 4, 5), out[2] + x);
}

void interleaveRgb(const float* r, const float* g, const float* b, size_t count, float* out) {
  size_t x = 0;
  for (; x + kLanes <= count; x += kLanes) {
    const Floats red = load(r + x), green = load(g + x), blue = load(b + x);
    const Floats rg = __builtin_shufflevector(red, green, 0, 4, 1, 5);        // r0 g0 r1 g1
    const Floats rgHigh = __builtin_shufflevector(red, green, 2, 6, 3, 7);    // r2 g2 r3 g3
    const Floats gb = __builtin_shufflevector(rg, blue, 3, 5, 3, 5);          // g1 b1
    store(__builtin_shufflevector(__builtin_shufflevector(rg, blue, 0, 1, 4, 4), rg, 0, 1, 2, 6), out + x * 3);
    store(__builtin_shufflevector(gb, rgHigh, 0, 1, 4, 5), out + x * 3 + kLanes);
    store(__builtin_shufflevector(__builtin_shufflevector(blue, rgHigh, 2, 6, 7, 3), blue, 0, 1, 2, 3), out + x * 3 + 2 * kLanes);
  }
  for (; x < count; x++) {
    out[x * 3] = r[x];
    out[x * 3 + 1] = g[x];
    out[x * 3 + 2] = b[x];
  }
}

}  // namespace

void lerpRows(const float* above, const float* below, float weight, size_t count, float* out) {
  size_t x = 0;
  for (; x + kLanes <= count; x += kLanes) {
    const Floats a = load(above + x);
    store(a + all(weight) * (load(below + x) - a), out + x);
  }
  for (; x < count; x++) out[x] = above[x] + weight * (below[x] - above[x]);
}

void lerpColumns(const float* row, int32_t first, const int32_t* low, const int32_t* high, const float* weight, size_t count, float* out) {
  for (size_t x = 0; x < count; x++) {
    const float a = row[low[x] - first];
    out[x] = a + weight[x] * (row[high[x] - first] - a);
  }
}

void lerpColumnsRgb(const uint8_t* row, const int32_t* low, const float* weight, size_t count, float* const* out) {
  size_t x = 0;
  for (; x + kLanes <= count; x += kLanes) {
    Floats pixel[kLanes];
    for (size_t i = 0; i < kLanes; i++) pixel[i] = lerpPixel(row, low[x + i], weight[x + i]);
    storePlanes(pixel, x, out);
  }
  for (; x < count; x++) {
    const Floats pixel = lerpPixel(row, low[x], weight[x]);
    for (size_t c = 0; c < 3; c++) out[c][x] = pixel[c];
  }
}

void scaleRow(float factor, float offset, size_t count, float* row) {
  size_t x = 0;
  for (; x + kLanes <= count; x += kLanes) store(load(row + x) * all(factor) + all(offset), row + x);
  for (; x < count; x++) row[x] = row[x] * factor + offset;
}

void normalizeRow(float mean, float std, size_t count, float* row) {
  size_t x = 0;
  for (; x + kLanes <= count; x += kLanes) store((load(row + x) - all(mean)) / all(std), row + x);
  for (; x < count; x++) row[x] = (row[x] - mean) / std;
}

void lumaRow(const float* r, const float* g, const float* b, size_t count, float* out) {
  constexpr float kRed = 0.299F, kGreen = 0.587F, kBlue = 0.114F;
  size_t x = 0;
  for (; x + kLanes <= count; x += kLanes) {
    store((all(kRed) * load(r + x) + all(kGreen) * load(g + x)) + all(kBlue) * load(b + x), out + x);
  }
  for (; x < count; x++) out[x] = (kRed * r[x] + kGreen * g[x]) + kBlue * b[x];
}

void unpackRgb(const uint8_t* row, size_t count, float* const* out) {
  for (size_t x = 0; x < count; x++) {
    for (size_t c = 0; c < 3; c++) out[c][x] = static_cast<float>(row[x * 3 + c]);
  }
}

void interleave(const float* const* planes, int channels, size_t count, float* out) {
  if (channels == 3) return interleaveRgb(planes[0], planes[1], planes[2], count, out);
  const size_t stride = static_cast<size_t>(channels);
  for (size_t c = 0; c < stride; c++) {
    for (size_t x = 0; x < count; x++) out[x * stride + c] = planes[c][x];
  }
}

}  // namespace selvedge
