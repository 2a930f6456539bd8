// The body of POST /v2/models/NAME/infer: Open Inference Protocol v2, tensors in JSON or in binary behind it. No sockets here.
#ifndef SELVEDGE_SERVE_INFER_REQUEST_H
#define SELVEDGE_SERVE_INFER_REQUEST_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "engine/engine.h"

namespace selvedge::serve {

struct RequestedInput {
  bool hasName = false, hasShape = false;
  std::string name;
  std::string datatype;
  std::vector<int64_t> shape;

  /// Data in the JSON: flat, in row-major order. At most `InferLimits::values` are kept, all are counted.
  bool hasData = false;
  size_t valueCount = 0;
  std::vector<double> values;
  bool hasNumbers = false, hasBooleans = false, hasOthers = false;

  /// Data behind the JSON; `binary` points into the body.
  bool hasBinarySize = false;
  int64_t binarySize = 0;
  Bytes binary;
};

struct RequestedOutput {
  bool hasName = false;
  std::string name;
  /// -1: the request says nothing for this output.
  int binaryData = -1;
};

struct InferRequest {
  bool hasId = false;
  std::string id;
  bool hasInputs = false;
  std::vector<RequestedInput> inputs;
  std::vector<RequestedOutput> outputs;
  /// What holds for the outputs that say nothing themselves.
  bool binaryOutput = false;
};

struct InferLimits {
  /// Values of one tensor that are worth keeping: no more than the largest input of the model has.
  size_t values = 0;
};

/// Parses a body and checks it in itself: form, types, sizes against shapes. Memory is bounded by the limits, whatever the
/// body says; nesting by 64 levels.
///
/// @param headerLength - value of Inference-Header-Content-Length; nullptr: the body is JSON as a whole.
/// @returns INPUT_INVALID, SHAPE_MISMATCH.
Status parseInferRequest(Bytes body, const std::string* headerLength, const InferLimits& limits, InferRequest* request);

/// Bytes of one element of a protocol type; 0 for a type that is not taken.
int64_t elementBytes(const std::string& datatype);

/// The protocol's name of a type.
const char* protocolType(DataType type);

/// "float32" and so on, as errors name them.
const char* typeName(DataType type);

/// Writes the tensors of a request where the engine reads them: each of its inputs once, in its type, shape and memory order.
/// @returns INPUT_INVALID (unknown or missing input, a value that its type cannot hold), SHAPE_MISMATCH.
Status fillInputs(const InferRequest& request, Engine* engine);

}  // namespace selvedge::serve

#endif
