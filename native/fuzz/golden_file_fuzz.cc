// Golden samples from anywhere: a file is refused with a reason, or gives tensors whose values fill their shapes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "pipeline/golden.h"

using namespace selvedge;

namespace {

bool isFilled(const GoldenTensor& tensor) {
  size_t count = 1;
  for (int64_t edge : tensor.shape) count *= static_cast<size_t>(edge);
  return !tensor.data.empty() && tensor.data.size() == count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  GoldenSample sample;
  const Status status = parseGolden("golden", std::vector<uint8_t>(data, data + size), &sample);
  const bool isWhole = isFilled(sample.input) && isFilled(sample.output) && sample.tolerance > 0;
  if (status.isOk() ? !isWhole : status.message().empty()) std::abort();
  return 0;
}
