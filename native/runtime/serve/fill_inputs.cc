#include <cmath>
#include <cstdio>
#include <cstring>

#include "serve/infer_request.h"
#include "serve/tensor_order.h"

namespace selvedge::serve {

namespace {

std::string showTensor(const char* type, const std::vector<int64_t>& shape) {
  std::string text = std::string(type) + " [";
  for (size_t index = 0; index < shape.size(); ++index) text += (index == 0 ? "" : ", ") + std::to_string(shape[index]);
  return text + "]";
}

/// Converts JSON numbers to the input's type. The range keeps every conversion defined.
template <typename Value>
bool convert(const std::vector<double>& values, double low, double high, std::vector<uint8_t>* bytes, double* bad) {
  bytes->resize(values.size() * sizeof(Value));
  for (size_t index = 0; index < values.size(); ++index) {
    const double number = values[index];
    if (number != std::trunc(number) || number < low || number > high) {
      *bad = number;
      return false;
    }
    const auto value = static_cast<Value>(number);
    std::memcpy(bytes->data() + index * sizeof(Value), &value, sizeof(Value));
  }
  return true;
}

bool convertFloat(const std::vector<double>& values, std::vector<uint8_t>* bytes) {
  bytes->resize(values.size() * sizeof(float));
  for (size_t index = 0; index < values.size(); ++index) {
    const double number = values[index];
    // What rounds to more than the largest float is an infinity, as in a Float32Array.
    constexpr double kRoundsToInfinity = 3.4028235677973366e38;
    const float value = std::fabs(number) >= kRoundsToInfinity ? std::copysign(HUGE_VALF, static_cast<float>(number > 0 ? 1 : -1))
                                                              : static_cast<float>(number);
    std::memcpy(bytes->data() + index * sizeof(float), &value, sizeof(float));
  }
  return true;
}

Status convertValues(const RequestedInput& input, DataType type, std::vector<uint8_t>* bytes) {
  constexpr double kMaxSafeInteger = 9007199254740991.0;
  double bad = 0;
  bool isGood = false;
  switch (type) {
    case DataType::float32: isGood = convertFloat(input.values, bytes); break;
    case DataType::int32: isGood = convert<int32_t>(input.values, -2147483648.0, 2147483647.0, bytes, &bad); break;
    case DataType::int64: isGood = convert<int64_t>(input.values, -kMaxSafeInteger, kMaxSafeInteger, bytes, &bad); break;
    case DataType::uint8: isGood = convert<uint8_t>(input.values, 0, 255, bytes, &bad); break;
  }
  if (isGood) return Status::ok();
  char number[32];
  std::snprintf(number, sizeof number, "%.17g", bad);
  return Status::error("INPUT_INVALID", "The data of input \"" + input.name + "\" holds " + number + ", which is not a " + input.datatype + ".");
}

Status fillOne(const RequestedInput& input, const TensorInfo& info, void* to) {
  if (input.datatype != protocolType(info.type) || input.shape != info.shape)
    return Status::error("SHAPE_MISMATCH", "The input \"" + info.name + "\" takes " + showTensor(typeName(info.type), info.shape) +
                                               ", but was given " + showTensor(input.datatype.c_str(), input.shape) + ".");
  if (!input.hasData) {
    toMemoryOrder(info, input.binary.data, to);
    return Status::ok();
  }
  std::vector<uint8_t> bytes;
  const Status status = convertValues(input, info.type, &bytes);
  if (status.isOk()) toMemoryOrder(info, bytes.data(), to);
  return status;
}

}  // namespace

const char* protocolType(DataType type) {
  switch (type) {
    case DataType::float32: return "FP32";
    case DataType::int64: return "INT64";
    case DataType::int32: return "INT32";
    case DataType::uint8: break;
  }
  return "UINT8";
}

const char* typeName(DataType type) {
  switch (type) {
    case DataType::float32: return "float32";
    case DataType::int64: return "int64";
    case DataType::int32: return "int32";
    case DataType::uint8: break;
  }
  return "uint8";
}

Status fillInputs(const InferRequest& request, Engine* engine) {
  const std::vector<TensorInfo>& inputs = engine->inputs();
  for (const RequestedInput& given : request.inputs) {
    bool isKnown = false;
    for (const TensorInfo& info : inputs) isKnown = isKnown || info.name == given.name;
    if (!isKnown) return Status::error("INPUT_INVALID", "The model has no input \"" + given.name + "\".");
  }
  for (size_t index = 0; index < inputs.size(); ++index) {
    const RequestedInput* match = nullptr;
    for (const RequestedInput& given : request.inputs) {
      if (given.name != inputs[index].name) continue;
      if (match != nullptr) return Status::error("INPUT_INVALID", "The input \"" + given.name + "\" is given twice.");
      match = &given;
    }
    if (match == nullptr) return Status::error("INPUT_INVALID", "The input \"" + inputs[index].name + "\" is missing.");
    const Status status = fillOne(*match, inputs[index], engine->inputData(index));
    if (!status.isOk()) return status;
  }
  return Status::ok();
}

}  // namespace selvedge::serve
