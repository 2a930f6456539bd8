// The golden sample of a package: one input tensor and the raw output that the model gave for it where it was built.
#ifndef SELVEDGE_PIPELINE_GOLDEN_H
#define SELVEDGE_PIPELINE_GOLDEN_H

#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"

namespace selvedge {

struct GoldenTensor {
  std::string name;
  std::vector<int64_t> shape;
  /// Row-major in the ONNX shape.
  std::vector<float> data;
};

struct GoldenSample {
  GoldenTensor input, output;
  /// Largest allowed absolute difference of an output value.
  double tolerance = 0;
};

/// Reads a safetensors file with the tensors `input/NAME` and `output/NAME` (F16 or F32) and the metadata `tolerance`.
/// @returns FILE_UNREADABLE; INPUT_INVALID with what is wrong.
Status readGolden(const std::string& file, GoldenSample* sample);

/// Reads the contents of such a file; `file` is for the message.
Status parseGolden(const std::string& file, const std::vector<uint8_t>& bytes, GoldenSample* sample);

/// Runs the sample. `largestDifference` is NaN when an output is.
/// @returns SHAPE_MISMATCH when the sample belongs to another model, INFERENCE_FAILED, SELF_TEST_FAILED.
Status runGolden(const GoldenSample& sample, Engine* engine, double* largestDifference);

/// Copies values between ONNX order and the memory order of a tensor. @param index - of the value in ONNX order.
/// @returns where that value lies in memory.
size_t memoryIndex(const TensorInfo& tensor, size_t index);

}  // namespace selvedge

#endif
