// XNNPACK as it is built for a target computes a convolution with the kernels that it chooses for the core it runs on.
#include <xnnpack.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "check.h"

namespace {

constexpr size_t kSide = 8;
constexpr size_t kInChannels = 3;
constexpr size_t kOutChannels = 16;

float inputAt(size_t index) { return static_cast<float>(index % 7) * 0.25f - 0.5f; }
float weightAt(size_t index) { return static_cast<float>(index % 5) * 0.5f - 1.0f; }

// 1x1 convolution, so that the expected value of each output is one short sum.
float expectedAt(size_t pixel, size_t channel) {
  float sum = static_cast<float>(channel);
  for (size_t in = 0; in < kInChannels; ++in) sum += inputAt(pixel * kInChannels + in) * weightAt(channel * kInChannels + in);
  return sum;
}

std::vector<float> convolve() {
  const size_t inDims[] = {1, kSide, kSide, kInChannels};
  const size_t outDims[] = {1, kSide, kSide, kOutChannels};
  const size_t weightDims[] = {kOutChannels, 1, 1, kInChannels};
  const size_t biasDims[] = {kOutChannels};
  std::vector<float> weights(kOutChannels * kInChannels);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = weightAt(i);
  std::vector<float> bias(kOutChannels);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i);
  std::vector<float> input(kSide * kSide * kInChannels + XNN_EXTRA_BYTES / sizeof(float));
  for (size_t i = 0; i < input.size(); ++i) input[i] = inputAt(i);
  std::vector<float> output(kSide * kSide * kOutChannels + XNN_EXTRA_BYTES / sizeof(float));

  uint32_t in = 0;
  uint32_t out = 0;
  uint32_t weight = 0;
  uint32_t offset = 0;
  xnn_subgraph_t graph = nullptr;
  xnn_runtime_t runtime = nullptr;
  CHECK_EQ(xnn_initialize(nullptr), xnn_status_success);
  CHECK_EQ(xnn_create_subgraph(2, 0, &graph), xnn_status_success);
  xnn_define_tensor_value(graph, xnn_datatype_fp32, 4, inDims, nullptr, 0, XNN_VALUE_FLAG_EXTERNAL_INPUT, &in);
  xnn_define_tensor_value(graph, xnn_datatype_fp32, 4, outDims, nullptr, 1, XNN_VALUE_FLAG_EXTERNAL_OUTPUT, &out);
  xnn_define_tensor_value(graph, xnn_datatype_fp32, 4, weightDims, weights.data(), XNN_INVALID_VALUE_ID, 0, &weight);
  xnn_define_tensor_value(graph, xnn_datatype_fp32, 1, biasDims, bias.data(), XNN_INVALID_VALUE_ID, 0, &offset);
  CHECK_EQ(xnn_define_convolution_2d(graph, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, kInChannels, kOutChannels, -INFINITY, INFINITY, in,
                                     weight, offset, out, 0),
           xnn_status_success);
  CHECK_EQ(xnn_create_runtime_v2(graph, nullptr, 0, &runtime), xnn_status_success);
  const xnn_external_value values[] = {{0, input.data()}, {1, output.data()}};
  CHECK_EQ(xnn_reshape_runtime(runtime), xnn_status_success);
  CHECK_EQ(xnn_setup_runtime_v2(runtime, 2, values), xnn_status_success);
  CHECK_EQ(xnn_invoke_runtime(runtime), xnn_status_success);
  xnn_delete_runtime(runtime);
  xnn_delete_subgraph(graph);
  return output;
}

}  // namespace

int main() {
  const std::vector<float> output = convolve();
  for (size_t pixel = 0; pixel < kSide * kSide; ++pixel) {
    for (size_t channel = 0; channel < kOutChannels; ++channel) {
      CHECK(std::fabs(output[pixel * kOutChannels + channel] - expectedAt(pixel, channel)) < 1e-4f);
    }
  }
  return selvedge::checkResult();
}
