// libFuzzer entry: the body of POST /v2/models/NAME/infer, from bytes to an engine's inputs.
//
// The first byte says whether the body is divided: its value, less one, is then a percentage of the rest that is JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "serve/infer_request.h"
#include "serve/infer_response.h"

namespace {

using namespace selvedge;

/// Inputs of every type and both memory orders; computes nothing.
class NoEngine : public Engine {
 public:
  NoEngine() {
    inputs_ = {{"input", DataType::float32, {1, 3, 4, 4}, MemoryOrder::nhwc},
               {"a", DataType::int64, {2}, MemoryOrder::asShape},
               {"b", DataType::int32, {2, 2}, MemoryOrder::asShape},
               {"c", DataType::uint8, {1, 2, 2, 2}, MemoryOrder::nhwc}};
    for (const TensorInfo& info : inputs_) memory_.emplace_back(info.elements() * 8);
  }
  const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  const std::vector<TensorInfo>& outputs() const override { return inputs_; }
  void* inputData(size_t index) override { return memory_[index].data(); }
  Status run() override { return Status::ok(); }
  const void* outputData(size_t index) const override { return memory_[index].data(); }
  std::string description() const override { return "none"; }

 private:
  std::vector<TensorInfo> inputs_;
  std::vector<std::vector<uint8_t>> memory_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static NoEngine engine;
  static const PackageInfo info{"model", "1", "", "", "", {}};
  if (size == 0) return 0;
  const Bytes body{data + 1, size - 1};
  const std::string length = data[0] > 200 ? std::string(reinterpret_cast<const char*>(data + 1), size - 1)
                                           : std::to_string(body.size * (data[0] == 0 ? 0 : data[0] - 1u) / 100);
  serve::InferRequest request;
  const Status status = serve::parseInferRequest(body, data[0] == 0 ? nullptr : &length, serve::InferLimits{48}, &request);
  if (!status.isOk() || !serve::checkOutputs(request, engine).isOk()) return 0;
  // A request with fewer inputs than the model is refused late: the answer is made all the same, to have it read all of it.
  if (serve::fillInputs(request, &engine).isOk() && !engine.run().isOk()) std::abort();
  if (serve::tensorResponse(request, info, engine).body.empty()) std::abort();
  return 0;
}
