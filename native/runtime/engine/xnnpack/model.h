// What generated code tells the engine about a model: tables for the values, calls for the operations.
#ifndef SELVEDGE_ENGINE_XNNPACK_MODEL_H
#define SELVEDGE_ENGINE_XNNPACK_MODEL_H

#include <xnnpack.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "engine/engine.h"

namespace selvedge::xnnpack {

constexpr size_t kMaxRank = 6;
constexpr size_t kDigestBytes = 32;

/// qcint8 and qcint32 have one scale per entry of a dimension; qint8 has one scale and a zero point.
enum class ValueType : uint8_t { float32, qint8, qcint8, qcint32 };

/// A tensor. Its index in the table is its id in the subgraph; inputs come first, then outputs.
struct ValueSpec {
  ValueType type;
  uint8_t rank;
  /// The dimension that the scales belong to.
  uint8_t channelAxis;
  uint32_t dims[kMaxRank];
  /// Where its contents stand in the weights file; 0: it is computed.
  uint64_t data;
  /// Where its scales stand in the weights file: floats, or one float and one int32 (zero point) for qint8; 0: none.
  uint64_t quant;
};

/// An input or output as the ONNX model names it.
struct PortSpec {
  const char* name;
  MemoryOrder order;
  uint8_t rank;
  int64_t shape[8];
};

struct ModelSpec {
  /// SHA-256 of the structure; the weights file carries the same.
  uint8_t digest[kDigestBytes];
  uint64_t weightsBytes;
  const ValueSpec* values;
  uint32_t valueCount;
  /// Inputs, then outputs.
  const PortSpec* ports;
  uint32_t inputCount;
  uint32_t outputCount;
  /// Flags of xnn_create_runtime_v2.
  uint32_t runtimeFlags;
  /// For people: "fp32", "fp16", "int8".
  const char* precision;
  xnn_status (*addOperations)(xnn_subgraph_t subgraph);
};

/// The model that openEngine() opens; defined by generated code.
extern const ModelSpec kModel;

/// Opens any model that generated code describes. @returns as openEngine().
Status openModel(const ModelSpec& model, const EngineOptions& options, std::unique_ptr<Engine>* engine);

// For generated code.

constexpr float kInf = INFINITY;

/// Sizes to be passed by address for the length of one call.
struct Sizes {
  size_t data[kMaxRank];
};

inline xnn_status clamp(xnn_subgraph_t g, float min, float max, uint32_t x, uint32_t y) {
  xnn_unary_params params;
  params.clamp.min = min;
  params.clamp.max = max;
  return xnn_define_unary(g, xnn_unary_clamp, &params, x, y, 0);
}

/// Operators with one number: elu (alpha), leaky_relu (negative slope).
inline xnn_status unaryWith(xnn_subgraph_t g, xnn_unary_operator type, float number, uint32_t x, uint32_t y) {
  xnn_unary_params params;
  if (type == xnn_unary_elu) {
    params.elu.alpha = number;
  } else {
    params.leaky_relu.negative_slope = number;
  }
  return xnn_define_unary(g, type, &params, x, y, 0);
}

inline xnn_status binaryWithin(xnn_subgraph_t g, xnn_binary_operator type, float min, float max, uint32_t a, uint32_t b,
                               uint32_t y) {
  const xnn_binary_params params = {static_cast<double>(min), static_cast<double>(max)};
  return xnn_define_binary(g, type, &params, a, b, y, 0);
}

#define SELVEDGE_STEP(call)                                   \
  do {                                                        \
    const xnn_status stepStatus = (call);                     \
    if (stepStatus != xnn_status_success) return stepStatus;  \
  } while (0)

}  // namespace selvedge::xnnpack

#endif
