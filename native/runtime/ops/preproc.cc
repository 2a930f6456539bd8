#include "ops/preproc.h"

#include "ops/chain.h"
#include "ops/spec_reader.h"

namespace selvedge {

namespace {

std::string sizeText(Size size) { return std::to_string(size.width) + " x " + std::to_string(size.height); }

class ChainPreproc : public Preproc {
 public:
  ChainPreproc(std::vector<ChainStep> steps, const TensorInfo& input, const PictureForm& form)
      : first_(steps.empty() ? ChainStep{} : steps.front()), chain_(std::move(steps)), form_(form) {
    channelsFirst_ = form.channelsFirst && input.order == MemoryOrder::asShape;
  }

  void smallestUsefulSize(int* width, int* height) const override {
    const bool isResized = first_.op == PreprocOp::resize || first_.op == PreprocOp::letterbox;
    *width = isResized ? static_cast<int>(first_.size.width) : 0;
    *height = isResized ? static_cast<int>(first_.size.height) : 0;
  }

  Status run(const Image& image, float* destination, PictureTransform* transform) override {
    const Size size{image.height, image.width};
    if (image.width < 1 || image.height < 1 || size.width > kMaxEdge || size.height > kMaxEdge ||
        image.rgb.size() != static_cast<uint64_t>(size.width) * static_cast<uint64_t>(size.height) * 3) {
      return Status::error("INPUT_INVALID", "A picture needs 3 bytes per pixel.");
    }
    const bool isScaled = image.sourceWidth >= image.width && image.sourceHeight >= image.height;
    Status status = chain_.plan({size, 3, false}, isScaled ? Size{image.sourceHeight, image.sourceWidth} : size, true);
    if (!status.isOk()) return status;
    if (!(chain_.output().size == form_.size)) {
      return Status::error("SHAPE_MISMATCH", "The model needs pictures of " + sizeText(form_.size) + " pixels and this one has " +
                                                 sizeText(size) + ".");
    }
    PixelSource source;
    source.bytes = image.rgb.data();
    source.size = size;
    chain_.run(source, channelsFirst_, destination);
    *transform = chain_.transform();
    return Status::ok();
  }

 private:
  ChainStep first_ = {};
  Chain chain_;
  PictureForm form_;  // of the tensor
  bool channelsFirst_ = false;
};

std::string shapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); i++) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace

Status compilePreproc(const rapidjson::Value& spec, const TensorInfo& input, std::unique_ptr<Preproc>* preproc) {
  std::vector<ChainStep> steps;
  Status status = parseChain(spec, &steps);
  if (!status.isOk()) return status;
  PictureForm form;
  status = chainOutput(steps, PictureForm{}, &form);
  if (!status.isOk()) return status;
  const std::string shape = shapeText(input.shape);
  if (input.type != DataType::float32 || input.shape.size() != 4 || input.shape[0] != 1) {
    return invalidSpec("the input of the model is not one float32 picture but " + shape);
  }
  // Without an op that fixes the size, the pictures must have that of the tensor.
  const Size size = form.channelsFirst ? Size{input.shape[2], input.shape[3]} : Size{input.shape[1], input.shape[2]};
  if (form.size.height == 0) form.size = size;
  if (!(form.size == size) || input.shape[form.channelsFirst ? 1 : 3] != form.channels || size.height < 1 || size.width < 1) {
    const std::vector<int64_t> made = form.channelsFirst ? std::vector<int64_t>{1, form.channels, form.size.height, form.size.width}
                                                         : std::vector<int64_t>{1, form.size.height, form.size.width, form.channels};
    return invalidSpec("it makes " + shapeText(made) + " and the input of the model is " + shape);
  }
  if (!form.channelsFirst && input.order == MemoryOrder::nhwc) {
    return invalidSpec("the input of the model is " + shape + " in channels-last order and the chain has no \"hwctochw\"");
  }
  *preproc = std::make_unique<ChainPreproc>(std::move(steps), input, form);
  return Status::ok();
}

}  // namespace selvedge
