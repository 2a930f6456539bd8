#include "ops/axis.h"

#include <algorithm>

namespace selvedge {

AxisTaps axisTaps(int64_t input, int64_t output, int64_t first, int64_t count) {
  AxisTaps taps;
  const int64_t unit = 2 * output;
  for (int64_t i = first; i < first + count; i++) {
    const int64_t n = std::min(std::max((2 * i + 1) * input - output, int64_t{0}), unit * (input - 1));
    const int64_t index = n / unit;
    taps.low.push_back(static_cast<int32_t>(index));
    taps.high.push_back(static_cast<int32_t>(std::min(index + 1, input - 1)));
    // The quotient is taken in float64 and rounded once, as the reference does.
    taps.weight.push_back(static_cast<float>(static_cast<double>(n % unit) / static_cast<double>(unit)));
  }
  return taps;
}

namespace {

int64_t fitted(int64_t other, int64_t limit, int64_t edge) { return std::max(int64_t{1}, (2 * other * edge + limit) / (2 * limit)); }

}  // namespace

Window letterboxWindow(Size input, Size output) {
  const bool heightLimits = output.height * input.width <= output.width * input.height;
  Window window;
  window.height = heightLimits ? output.height : std::min(output.height, fitted(input.height, input.width, output.width));
  window.width = heightLimits ? std::min(output.width, fitted(input.width, input.height, output.height)) : output.width;
  window.top = (output.height - window.height) / 2;
  window.left = (output.width - window.width) / 2;
  return window;
}

Middle middleOf(int64_t input, int64_t output) {
  if (input >= output) return {(input - output) / 2, 0, output};
  return {0, (output - input) / 2, input};
}

}  // namespace selvedge
