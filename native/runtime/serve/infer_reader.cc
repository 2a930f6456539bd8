#include "serve/infer_reader.h"

#include <cmath>
#include <cstdlib>

namespace selvedge::serve {

namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxDataDepth = 16;
constexpr size_t kMaxTensors = 64;
constexpr size_t kMaxRank = 16;
constexpr size_t kMaxNameBytes = 256;
constexpr double kMaxEdge = 2147483647.0;
constexpr double kMaxSafeInteger = 9007199254740991.0;

/// A JSON number, rounded once. Up to 15 digits and a small power of ten are exact in doubles, so that one operation gives
/// the right result; the rest is for strtod, which takes five times as long.
/// @param text - ends with a NUL.
double parseNumber(const char* text, size_t size) {
  static constexpr double kPowers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const bool isNegative = text[0] == '-';
  int64_t digits = 0;
  int decimals = 0;
  bool isBehindPoint = false;
  if (size > 16) return std::strtod(text, nullptr);
  for (const char* at = text + (isNegative ? 1 : 0); *at != '\0'; ++at) {
    if (*at == '.') {
      isBehindPoint = true;
      continue;
    }
    if (*at < '0' || *at > '9') return std::strtod(text, nullptr);
    digits = digits * 10 + (*at - '0');
    decimals += isBehindPoint ? 1 : 0;
  }
  if (digits >= 1'000'000'000'000'000) return std::strtod(text, nullptr);
  const double value = static_cast<double>(digits) / kPowers[decimals];
  return isNegative ? -value : value;
}

}  // namespace

bool InferReader::refuse(const char* what) {
  if (!fault_.empty()) return false;
  std::string path;
  switch (place()) {
    case Place::input:
    case Place::shape:
    case Place::data:
    case Place::inputParameters:
      path = "inputs." + std::to_string(request_->inputs.size() - 1) + "." + key_;
      break;
    case Place::output:
    case Place::outputParameters:
      path = "outputs." + std::to_string(request_->outputs.size() - 1) + "." + key_;
      break;
    case Place::inputs:
      path = "inputs";
      break;
    case Place::outputs:
      path = "outputs";
      break;
    default:
      path = key_;
      break;
  }
  fault_ = "The request is not valid: " + path + ": " + what + ".";
  return false;
}

bool InferReader::enter(Place next) {
  if (places_.size() >= kMaxDepth) {
    fault_ = "The data is nested too deeply.";
    return false;
  }
  places_.push_back(next);
  return true;
}

bool InferReader::Key(const char* text, rapidjson::SizeType size, bool) {
  key_.assign(text, size < kMaxNameBytes ? size : kMaxNameBytes);
  return true;
}

/// A value that is null, or of a kind that its place does not take.
bool InferReader::other() {
  switch (place()) {
    case Place::ignored:
      return true;
    case Place::data:
      input().hasOthers = true;
      input().valueCount += 1;
      return true;
    case Place::outside:
      fault_ = "The request is not valid: expected an object.";
      return false;
    case Place::request:
      return key_ == "id" || key_ == "inputs" || key_ == "outputs" || key_ == "parameters" ? refuse("invalid type") : true;
    case Place::input:
      return key_ == "name" || key_ == "shape" || key_ == "datatype" || key_ == "data" || key_ == "parameters" ? refuse("invalid type") : true;
    case Place::inputParameters:
      return key_ == "binary_data_size" ? refuse("expected a size in bytes") : true;
    case Place::output:
      return key_ == "name" || key_ == "parameters" ? refuse("invalid type") : true;
    case Place::outputParameters:
      return key_ == "binary_data" ? refuse("expected a boolean") : true;
    case Place::parameters:
      return key_ == "binary_data_output" ? refuse("expected a boolean") : true;
    default:
      return refuse("invalid type");
  }
}

bool InferReader::Bool(bool value) {
  if (place() == Place::data) {
    input().hasBooleans = true;
    return addValue(value ? 1 : 0);
  }
  if (place() == Place::outputParameters && key_ == "binary_data") {
    request_->outputs.back().binaryData = value ? 1 : 0;
    return true;
  }
  if (place() == Place::parameters && key_ == "binary_data_output") {
    request_->binaryOutput = value;
    return true;
  }
  return other();
}

bool InferReader::addValue(double value) {
  RequestedInput& to = input();
  to.valueCount += 1;
  if (to.values.size() < limits_.values) to.values.push_back(value);
  return true;
}

bool InferReader::RawNumber(const char* text, rapidjson::SizeType size, bool) {
  const double value = parseNumber(text, size);
  const bool isWhole = value == std::trunc(value);
  if (place() == Place::data) {
    input().hasNumbers = true;
    return addValue(value);
  }
  if (place() == Place::shape) {
    if (!isWhole || value < 0 || value > kMaxEdge) return refuse("expected an edge, 0 to 2147483647");
    if (input().shape.size() >= kMaxRank) return refuse("too many edges");
    input().shape.push_back(static_cast<int64_t>(value));
    return true;
  }
  if (place() == Place::inputParameters && key_ == "binary_data_size") {
    if (!isWhole || value < 0 || value > kMaxSafeInteger) return refuse("expected a size in bytes");
    input().hasBinarySize = true;
    input().binarySize = static_cast<int64_t>(value);
    return true;
  }
  return other();
}

bool InferReader::String(const char* text, rapidjson::SizeType size, bool) {
  const bool isName = key_ == "name" && (place() == Place::input || place() == Place::output);
  const bool isId = key_ == "id" && place() == Place::request;
  if ((isName || isId) && size > kMaxNameBytes) return refuse("too long");
  if (isId) {
    request_->hasId = true;
    request_->id.assign(text, size);
  } else if (isName && place() == Place::input) {
    input().hasName = true;
    input().name.assign(text, size);
  } else if (isName) {
    request_->outputs.back().hasName = true;
    request_->outputs.back().name.assign(text, size);
  } else if (place() == Place::input && key_ == "datatype") {
    input().datatype.assign(text, size < 16 ? size : 16);
    if (elementBytes(input().datatype) == 0) return refuse("expected one of BOOL, UINT8, INT8, INT32, INT64, FP32, FP16");
  } else {
    return other();
  }
  return true;
}

bool InferReader::StartObject() {
  switch (place()) {
    case Place::outside:
      return enter(Place::request);
    case Place::inputs:
      if (request_->inputs.size() >= kMaxTensors) return refuse("too many");
      request_->inputs.emplace_back();
      return enter(Place::input);
    case Place::outputs:
      if (request_->outputs.size() >= kMaxTensors) return refuse("too many");
      request_->outputs.emplace_back();
      return enter(Place::output);
    case Place::request:
      if (key_ != "parameters") break;
      request_->binaryOutput = false;
      return enter(Place::parameters);
    case Place::input:
      if (key_ != "parameters") break;
      input().hasBinarySize = false;
      return enter(Place::inputParameters);
    case Place::output:
      if (key_ != "parameters") break;
      request_->outputs.back().binaryData = -1;
      return enter(Place::outputParameters);
    default:
      break;
  }
  return other() && enter(Place::ignored);
}

bool InferReader::StartArray() {
  switch (place()) {
    case Place::request:
      if (key_ == "inputs") {
        request_->hasInputs = true;
        request_->inputs.clear();
        return enter(Place::inputs);
      }
      if (key_ == "outputs") {
        request_->outputs.clear();
        return enter(Place::outputs);
      }
      break;
    case Place::input:
      if (key_ == "shape") {
        input().hasShape = true;
        input().shape.clear();
        return enter(Place::shape);
      }
      if (key_ == "data") {
        RequestedInput& to = input();
        to.hasData = true;
        to.hasNumbers = to.hasBooleans = to.hasOthers = false;
        to.valueCount = 0;
        to.values.clear();
        dataDepth_ = 0;
        return enter(Place::data);
      }
      break;
    case Place::data:
      if (++dataDepth_ > kMaxDataDepth) {
        fault_ = "The data is nested too deeply.";
        return false;
      }
      return enter(Place::data);
    default:
      break;
  }
  return other() && enter(Place::ignored);
}

bool InferReader::EndObject(rapidjson::SizeType) {
  places_.pop_back();
  return true;
}

bool InferReader::EndArray(rapidjson::SizeType) {
  if (place() == Place::data && dataDepth_ > 0) dataDepth_ -= 1;
  places_.pop_back();
  return true;
}

}  // namespace selvedge::serve
