// Manifests from anywhere: a chain of ops is refused, or fills exactly its tensor. The first two bytes are the picture's size.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "ops/chain_spec.h"
#include "ops/preproc.h"

using namespace selvedge;

namespace {

constexpr int64_t kMaxElements = 32 * 1024;
constexpr float kUntouched = -12345.5F;

/// Shapes are taken from the chain itself: a random one would hardly ever fit.
bool shapeFor(const rapidjson::Value& spec, Size size, TensorInfo* tensor) {
  std::vector<ChainStep> steps;
  PictureForm form;
  if (!parseChain(spec, &steps).isOk() || !chainOutput(steps, {size, 3, false}, &form).isOk()) return false;
  if (form.size.height * form.size.width * form.channels > kMaxElements) return false;
  if (form.channelsFirst) {
    tensor->shape = {1, form.channels, form.size.height, form.size.width};
  } else {
    tensor->shape = {1, form.size.height, form.size.width, form.channels};
  }
  return true;
}

void runChain(const rapidjson::Value& spec, const Image& image, const TensorInfo& tensor) {
  std::unique_ptr<Preproc> preproc;
  if (!compilePreproc(spec, tensor, &preproc).isOk()) return;
  int width = 0, height = 0;
  preproc->smallestUsefulSize(&width, &height);
  // One value too many, to see whether it is left alone.
  std::vector<float> out(tensor.elements() + 1, kUntouched);
  PictureTransform transform;
  for (int round = 0; round < 2; round++) {
    if (!preproc->run(image, out.data(), &transform).isOk()) std::abort();
    if (out.back() != kUntouched || !std::isfinite(transform.scaleX)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  Image image;
  image.width = image.sourceWidth = 1 + data[0] % 64;
  image.height = image.sourceHeight = 1 + data[1] % 64;
  for (int i = 0; i < image.width * image.height * 3; i++) image.rgb.push_back(static_cast<uint8_t>(i * 31));
  rapidjson::Document spec;
  spec.Parse<rapidjson::kParseIterativeFlag>(reinterpret_cast<const char*>(data + 2), size - 2);
  if (spec.HasParseError()) return 0;
  TensorInfo tensor;
  if (!shapeFor(spec, {image.height, image.width}, &tensor)) return 0;
  runChain(spec, image, tensor);
  tensor.order = MemoryOrder::nhwc;
  runChain(spec, image, tensor);
  return 0;
}
