#include "ops/chain.h"

#include "ops/row_kernels.h"

namespace selvedge {

namespace {

bool changesSize(const ChainStep& step) { return step.size.height > 0; }

int channelsAfter(const ChainStep& step, int channels) { return step.op == PreprocOp::grayscale ? 1 : channels; }

}  // namespace

Status Chain::plan(const PictureForm& form, Size original, bool isPackedRgb) {
  if (isPlanned_ && form.size == input_.size && form.channels == input_.channels && original == original_ && isPackedRgb == isPackedRgb_) {
    return Status::ok();
  }
  Status status = chainOutput(steps_, form, &output_);
  if (!status.isOk()) return status;
  isPlanned_ = false;
  input_ = form;
  original_ = original;
  transform_ = {};
  transform_.scaleX = static_cast<float>(form.size.width) / static_cast<float>(original.width);
  transform_.scaleY = static_cast<float>(form.size.height) / static_cast<float>(original.height);
  sizes_.clear();
  windows_.assign(steps_.size(), Window{});
  Size size = form.size;
  for (size_t i = 0; i < steps_.size(); i++) {
    sizes_.push_back(size);
    place(steps_[i], size, original, i == 0, &windows_[i]);
    if (changesSize(steps_[i])) size = steps_[i].size;
  }
  build(isPackedRgb);
  isPackedRgb_ = isPackedRgb;
  isPlanned_ = true;
  return Status::ok();
}

/// Where the picture lies after the step: in `window`, and in the transform.
void Chain::place(const ChainStep& step, Size input, Size original, bool isFirst, Window* window) {
  if (step.op == PreprocOp::centercrop) {
    const Middle rows = middleOf(input.height, step.size.height);
    const Middle columns = middleOf(input.width, step.size.width);
    transform_.offsetX += static_cast<float>(columns.to - columns.from);
    transform_.offsetY += static_cast<float>(rows.to - rows.from);
    return;
  }
  if (step.op == PreprocOp::resize) *window = {0, 0, step.size.height, step.size.width};
  // A picture that was decoded smaller lies where the original would: its rounded edges would move it by a pixel.
  if (step.op == PreprocOp::letterbox) *window = letterboxWindow(isFirst ? original : input, step.size);
  if (window->width == 0) return;
  const float x = static_cast<float>(window->width) / static_cast<float>(input.width);
  const float y = static_cast<float>(window->height) / static_cast<float>(input.height);
  transform_.scaleX *= x;
  transform_.scaleY *= y;
  transform_.offsetX = transform_.offsetX * x + static_cast<float>(window->left);
  transform_.offsetY = transform_.offsetY * y + static_cast<float>(window->top);
}

void Chain::build(bool isPackedRgb) {
  // Backwards: which columns each op has to give.
  std::vector<Columns> columns(steps_.size() + 1);
  columns[steps_.size()] = {0, output_.size.width};
  for (size_t i = steps_.size(); i > 0; i--) columns[i - 1] = columnsBefore(steps_[i - 1], sizes_[i - 1], columns[i], windows_[i - 1]);
  stages_.clear();
  stages_.push_back(makeSourceStage(&source_, input_.channels, columns[0]));
  int channels = input_.channels;
  for (size_t i = 0; i < steps_.size(); i++) {
    const bool readsSource = stages_.size() == 1 && isPackedRgb;
    const StageInput input{stages_.back().get(), readsSource ? &source_ : nullptr, sizes_[i], channels, columns[i]};
    std::unique_ptr<Stage> stage = makeStage(steps_[i], input, columns[i + 1], windows_[i]);
    if (stage != nullptr) stages_.push_back(std::move(stage));
    channels = channelsAfter(steps_[i], channels);
  }
  pixels_ = std::make_unique<RowBuffer>(output_.channels, output_.size.width);
}

void Chain::run(const PixelSource& source, bool channelsFirst, float* out) {
  source_ = source;
  for (const std::unique_ptr<Stage>& stage : stages_) stage->begin();
  Stage* last = stages_.back().get();
  const size_t width = static_cast<size_t>(output_.size.width);
  const size_t height = static_cast<size_t>(output_.size.height);
  const size_t channels = static_cast<size_t>(output_.channels);
  for (size_t y = 0; y < height; y++) {
    if (channelsFirst || channels == 1) {
      float* rows[kMaxChannels] = {};
      for (size_t c = 0; c < channels; c++) rows[c] = out + (c * height + y) * width;
      last->row(static_cast<int64_t>(y), rows);
    } else {
      last->row(static_cast<int64_t>(y), pixels_->rows());
      interleave(pixels_->rows(), output_.channels, width, out + y * width * channels);
    }
  }
}

}  // namespace selvedge
