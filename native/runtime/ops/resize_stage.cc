#include <algorithm>
#include <cstring>

#include "ops/row_kernels.h"
#include "ops/stages.h"

namespace selvedge {

namespace {

/// resize and letterbox: rows are first interpolated along x, then pairs of them along y. The last two rows along x are
/// kept, since neighbours in the output often read the same ones.
class ResizeStage : public Stage {
 public:
  ResizeStage(const ChainStep& step, const StageInput& input, Columns columns, Window window)
      : input_(input),
        columns_(columns),
        window_(window),
        fill_(step.fill),
        start_(std::max(int64_t{0}, window.left - columns.first)),
        count_(std::max(int64_t{0}, std::min(columns.first + columns.count, window.left + window.width) - columns.first - start_)),
        rows_(axisTaps(input.size.height, window.height, 0, window.height)),
        taps_(axisTaps(input.size.width, window.width, columns.first + start_ - window.left, count_)),
        raw_(input.packed == nullptr ? input.channels : 0, input.columnsBefore.count),
        kept_{RowBuffer(input.channels, count_), RowBuffer(input.channels, count_)} {}

  void begin() override {
    for (int64_t& row : keptRow_) row = -1;
  }

  void row(int64_t y, Rows out) override {
    const bool isPicture = y >= window_.top && y < window_.top + window_.height && count_ > 0;
    for (int c = 0; c < input_.channels; c++) {
      std::fill(out[c], out[c] + (isPicture ? start_ : columns_.count), fill_);
      if (isPicture) std::fill(out[c] + start_ + count_, out[c] + columns_.count, fill_);
    }
    if (!isPicture) return;
    const size_t at = static_cast<size_t>(y - window_.top);
    const int64_t low = rows_.low[at], high = rows_.high[at];
    const size_t above = keep(low, high);
    const size_t below = keep(high, low);
    for (int c = 0; c < input_.channels; c++) {
      lerpRows(kept_[above].rows()[c], kept_[below].rows()[c], rows_.weight[at], static_cast<size_t>(count_), out[c] + start_);
    }
  }

 private:
  /// @returns the slot with input row `y`, computed when there is none; never in the place of row `other`.
  size_t keep(int64_t y, int64_t other) {
    if (keptRow_[0] == y) return 0;
    if (keptRow_[1] == y) return 1;
    const size_t slot = keptRow_[0] == other ? 1 : 0;
    interpolate(y, kept_[slot].rows());
    keptRow_[slot] = y;
    return slot;
  }

  void interpolate(int64_t y, Rows out) {
    const size_t count = static_cast<size_t>(count_);
    if (input_.packed != nullptr) return lerpColumnsRgb(packedRow(y), taps_.low.data(), taps_.weight.data(), count, out);
    input_.before->row(y, raw_.rows());
    for (int c = 0; c < input_.channels; c++) {
      lerpColumns(raw_.rows()[c], static_cast<int32_t>(input_.columnsBefore.first), taps_.low.data(), taps_.high.data(),
                  taps_.weight.data(), count, out[c]);
    }
  }

  /// Row `y` with bytes behind it that may be read: the last rows of the picture are copied for that.
  const uint8_t* packedRow(int64_t y) {
    const size_t stride = static_cast<size_t>(input_.size.width) * 3;
    const size_t from = static_cast<size_t>(y) * stride;
    const uint8_t* bytes = input_.packed->bytes + from;
    if (from + stride + kRowPadding <= static_cast<size_t>(input_.size.height) * stride) return bytes;
    padded_.resize(stride + kRowPadding);
    std::memcpy(padded_.data(), bytes, stride);
    return padded_.data();
  }

  StageInput input_;
  Columns columns_;
  Window window_;
  float fill_;
  int64_t start_, count_;
  AxisTaps rows_, taps_;
  RowBuffer raw_;
  RowBuffer kept_[2];
  int64_t keptRow_[2] = {-1, -1};
  std::vector<uint8_t> padded_;
};

}  // namespace

std::unique_ptr<Stage> makeResizeStage(const ChainStep& step, const StageInput& input, Columns columns, Window window) {
  return std::make_unique<ResizeStage>(step, input, columns, window);
}

}  // namespace selvedge
