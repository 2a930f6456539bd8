#include "serve/infer_request.h"

#include <cstring>

#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include "serve/infer_reader.h"

namespace selvedge::serve {

namespace {

Status invalid(const std::string& message) { return Status::error("INPUT_INVALID", message); }

std::string showShape(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t index = 0; index < shape.size(); ++index) text += (index == 0 ? "" : ", ") + std::to_string(shape[index]);
  return text + "]";
}

/// Elements of a shape, or -1 when there are more than any body could hold.
int64_t elementCount(const std::vector<int64_t>& shape) {
  constexpr int64_t kLargest = int64_t{1} << 40;
  int64_t count = 1;
  for (int64_t edge : shape) {
    if (edge == 0) return 0;
    if (count > kLargest / edge) return -1;
    count *= edge;
  }
  return count;
}

std::string describe(const RequestedInput& input) { return "Input \"" + input.name + "\" of shape " + showShape(input.shape); }

Status splitBody(Bytes body, const std::string* headerLength, Bytes* json, Bytes* tensors) {
  *json = body;
  *tensors = Bytes{body.data + body.size, 0};
  if (headerLength == nullptr) return Status::ok();
  size_t length = 0;
  bool isLength = !headerLength->empty() && headerLength->size() <= 9;
  for (char digit : *headerLength) {
    if (digit < '0' || digit > '9') isLength = false;
    else if (isLength) length = length * 10 + static_cast<size_t>(digit - '0');
  }
  if (!isLength || length > body.size)
    return invalid("Inference-Header-Content-Length is not a length within the body, which has " + std::to_string(body.size) + " bytes.");
  *json = Bytes{body.data, length};
  *tensors = Bytes{body.data + length, body.size - length};
  return Status::ok();
}

Status parseJson(Bytes json, const InferLimits& limits, InferRequest* request) {
  rapidjson::MemoryStream stream(reinterpret_cast<const char*>(json.data), json.size);
  rapidjson::Reader reader;
  InferReader handler(limits, request);
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseValidateEncodingFlag;
  const rapidjson::ParseResult outcome = reader.Parse<kFlags>(stream, handler);
  if (!handler.fault().empty()) return invalid(handler.fault());
  if (outcome.IsError()) return invalid("The body is not valid JSON.");
  if (!request->hasInputs || request->inputs.empty()) return invalid("The request is not valid: inputs: expected 1 to 64 tensors.");
  for (const RequestedInput& input : request->inputs)
    if (!input.hasName || !input.hasShape || input.datatype.empty())
      return invalid("The request is not valid: inputs: each needs a name, a shape and a datatype.");
  for (const RequestedOutput& output : request->outputs)
    if (!output.hasName) return invalid("The request is not valid: outputs: each needs a name.");
  return Status::ok();
}

Status checkJsonData(const RequestedInput& input) {
  const int64_t expected = elementCount(input.shape);
  if (expected < 0 || static_cast<uint64_t>(expected) != input.valueCount)
    return Status::error("SHAPE_MISMATCH", describe(input) + " needs " + (expected < 0 ? "too many" : std::to_string(expected)) + " values and has " +
                                               std::to_string(input.valueCount) + ".");
  if (input.datatype == "FP16") return invalid("Input \"" + input.name + "\": FP16 cannot be sent as JSON; send it in binary.");
  const bool isBool = input.datatype == "BOOL";
  if (input.hasOthers || (isBool ? input.hasNumbers : input.hasBooleans))
    return invalid("The data of input \"" + input.name + "\" holds something that is not a " + input.datatype + ".");
  return Status::ok();
}

Status takeBinary(RequestedInput* input, Bytes* tensors) {
  const int64_t count = elementCount(input->shape);
  const int64_t expected = count < 0 ? -1 : count * elementBytes(input->datatype);
  if (input->binarySize != expected)
    return Status::error("SHAPE_MISMATCH", describe(*input) + " and type " + input->datatype + " needs " +
                                               (expected < 0 ? "too many" : std::to_string(expected)) + " bytes and has " +
                                               std::to_string(input->binarySize) + ".");
  if (static_cast<uint64_t>(input->binarySize) > tensors->size)
    return invalid("The body ends before the " + std::to_string(input->binarySize) + " bytes of input \"" + input->name + "\".");
  const auto size = static_cast<size_t>(input->binarySize);
  input->binary = Bytes{tensors->data, size};
  *tensors = Bytes{tensors->data + size, tensors->size - size};
  return Status::ok();
}

}  // namespace

int64_t elementBytes(const std::string& datatype) {
  if (datatype == "FP32" || datatype == "INT32") return 4;
  if (datatype == "INT64") return 8;
  if (datatype == "FP16") return 2;
  return datatype == "BOOL" || datatype == "UINT8" || datatype == "INT8" ? 1 : 0;
}

Status parseInferRequest(Bytes body, const std::string* headerLength, const InferLimits& limits, InferRequest* request) {
  Bytes json, tensors;
  Status status = splitBody(body, headerLength, &json, &tensors);
  if (status.isOk()) status = parseJson(json, limits, request);
  if (!status.isOk()) return status;
  for (RequestedInput& input : request->inputs) {
    if (input.hasBinarySize == input.hasData) return invalid("Input \"" + input.name + "\" needs its data either in JSON or behind it.");
    status = input.hasData ? checkJsonData(input) : takeBinary(&input, &tensors);
    if (!status.isOk()) return status;
  }
  if (tensors.size > 0) return invalid(std::to_string(tensors.size) + " bytes behind the JSON belong to no input.");
  return Status::ok();
}

}  // namespace selvedge::serve
