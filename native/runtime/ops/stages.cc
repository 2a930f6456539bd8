#include "ops/stages.h"

#include <algorithm>

#include "ops/row_kernels.h"

namespace selvedge {

namespace {

class SourceStage : public Stage {
 public:
  SourceStage(const PixelSource* source, int channels, Columns columns) : source_(source), channels_(channels), columns_(columns) {}

  void row(int64_t y, Rows out) override {
    const size_t at = static_cast<size_t>(y * source_->size.width + columns_.first) * source_->pixelStride;
    if (source_->isPackedRgb()) return unpackRgb(source_->bytes + at, static_cast<size_t>(columns_.count), out);
    if (source_->bytes != nullptr) return copy(source_->bytes + at, out);
    copy(source_->floats + at, out);
  }

 private:
  template <typename Value>
  void copy(const Value* from, Rows out) const {
    for (size_t c = 0; c < static_cast<size_t>(channels_); c++) {
      for (size_t x = 0; x < static_cast<size_t>(columns_.count); x++) {
        out[c][x] = static_cast<float>(from[x * source_->pixelStride + c * source_->channelStride]);
      }
    }
  }

  const PixelSource* source_;
  int channels_;
  Columns columns_;
};

/// Rows and columns from the middle, zeros where the picture is too small.
class CropStage : public Stage {
 public:
  CropStage(const ChainStep& step, const StageInput& input, Columns columns)
      : before_(input.before), channels_(input.channels), columns_(columns), rows_(middleOf(input.size.height, step.size.height)) {
    const Middle middle = middleOf(input.size.width, step.size.width);
    // `before` writes exactly the pixels that are kept, at their place in our row.
    start_ = std::max(int64_t{0}, middle.to - columns.first);
    end_ = start_ + input.columnsBefore.count;
  }

  void row(int64_t y, Rows out) override {
    const bool isPicture = y >= rows_.to && y < rows_.to + rows_.count && end_ > start_;
    float* inside[kMaxChannels] = {};
    for (int c = 0; c < channels_; c++) {
      std::fill(out[c], out[c] + (isPicture ? start_ : columns_.count), 0.0F);
      if (isPicture) std::fill(out[c] + end_, out[c] + columns_.count, 0.0F);
      inside[c] = out[c] + start_;
    }
    if (isPicture) before_->row(rows_.from + y - rows_.to, inside);
  }

 private:
  Stage* before_;
  int channels_;
  Columns columns_;
  Middle rows_;
  int64_t start_, end_;
};

class GrayStage : public Stage {
 public:
  GrayStage(const StageInput& input, Columns columns)
      : before_(input.before),
        isGray_(input.channels == 1),
        count_(static_cast<size_t>(columns.count)),
        color_(input.channels, columns.count) {}

  void row(int64_t y, Rows out) override {
    if (isGray_) return before_->row(y, out);
    before_->row(y, color_.rows());
    lumaRow(color_.rows()[0], color_.rows()[1], color_.rows()[2], count_, out[0]);
  }

 private:
  Stage* before_;
  bool isGray_;
  size_t count_;
  RowBuffer color_;
};

/// scale and normalize: in place on the row of the op before.
class ValueStage : public Stage {
 public:
  ValueStage(const ChainStep& step, const StageInput& input, Columns columns)
      : step_(step), before_(input.before), channels_(input.channels), count_(static_cast<size_t>(columns.count)) {}

  void row(int64_t y, Rows out) override {
    before_->row(y, out);
    for (int c = 0; c < channels_; c++) {
      const int from = step_.values == 1 ? 0 : c;
      if (step_.op == PreprocOp::scale) {
        scaleRow(step_.factor, step_.lo, count_, out[c]);
      } else {
        normalizeRow(step_.mean[from], step_.std[from], count_, out[c]);
      }
    }
  }

 private:
  ChainStep step_;
  Stage* before_;
  int channels_;
  size_t count_;
};

}  // namespace

RowBuffer::RowBuffer(int channels, int64_t count) : values_(static_cast<size_t>(channels) * static_cast<size_t>(count)) {
  for (int c = 0; c < channels; c++) rows_[c] = values_.data() + static_cast<size_t>(c) * static_cast<size_t>(count);
}

Columns columnsBefore(const ChainStep& step, Size input, Columns output, Window window) {
  if (step.op == PreprocOp::resize || step.op == PreprocOp::letterbox) {
    const int64_t first = std::max(output.first, window.left);
    const int64_t end = std::min(output.first + output.count, window.left + window.width);
    if (end <= first) return {0, 0};
    const AxisTaps taps = axisTaps(input.width, window.width, first - window.left, end - first);
    return {taps.low.front(), taps.high.back() - taps.low.front() + 1};
  }
  if (step.op == PreprocOp::centercrop) {
    const Middle middle = middleOf(input.width, step.size.width);
    const int64_t first = std::max(output.first, middle.to);
    const int64_t end = std::min(output.first + output.count, middle.to + middle.count);
    return {middle.from + first - middle.to, std::max(int64_t{0}, end - first)};
  }
  return output;
}

std::unique_ptr<Stage> makeSourceStage(const PixelSource* source, int channels, Columns columns) {
  return std::make_unique<SourceStage>(source, channels, columns);
}

std::unique_ptr<Stage> makeStage(const ChainStep& step, const StageInput& input, Columns columns, Window window) {
  switch (step.op) {
    case PreprocOp::resize:
    case PreprocOp::letterbox: return makeResizeStage(step, input, columns, window);
    case PreprocOp::centercrop: return std::make_unique<CropStage>(step, input, columns);
    case PreprocOp::grayscale: return std::make_unique<GrayStage>(input, columns);
    case PreprocOp::scale:
    case PreprocOp::normalize: return std::make_unique<ValueStage>(step, input, columns);
    case PreprocOp::hwctochw: break;  // rows have no layout: it is given where they are written
  }
  return nullptr;
}

}  // namespace selvedge
