// Where the pixels of an output axis come from. In exact integers, so that every implementation gets the same bits.
#ifndef SELVEDGE_OPS_AXIS_H
#define SELVEDGE_OPS_AXIS_H

#include <cstdint>
#include <vector>

namespace selvedge {

/// Largest edge of a picture or a tensor that the ops accept; keeps every product below within 64 bits.
constexpr int64_t kMaxEdge = 1 << 24;

/// The two input pixels that an output pixel lies between, and how far it is from the first: 0 .. 1.
struct AxisTaps {
  std::vector<int32_t> low, high;
  std::vector<float> weight;
};

/// Half-pixel centres, clamped at the edges: for i of [first, first + count)
/// `n = clamp((2 i + 1) * input - output, 0, 2 * output * (input - 1))`, `low = n div (2 * output)`,
/// `high = min(low + 1, input - 1)`, `weight = float32((n mod (2 * output)) / (2 * output))`.
AxisTaps axisTaps(int64_t input, int64_t output, int64_t first, int64_t count);

struct Size {
  int64_t height = 0, width = 0;
  bool operator==(const Size& other) const { return height == other.height && width == other.width; }
};

struct Window {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

/// The size that keeps the aspect ratio of `input` inside `output`, and where it begins: the axis that limits fills its edge,
/// the other is rounded half up; of spare pixels an odd one goes below or to the right.
Window letterboxWindow(Size input, Size output);

/// The middle of an axis: `count` pixels of the input from `from` on lie at `to` of the output; the rest is zero.
struct Middle {
  int64_t from = 0, to = 0, count = 0;
};

Middle middleOf(int64_t input, int64_t output);

}  // namespace selvedge

#endif
