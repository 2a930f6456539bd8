#include "serve/infer_response.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include <rapidjson/internal/dtoa.h>
#include <rapidjson/internal/itoa.h>

#include "serve/problem.h"
#include "serve/tensor_order.h"

namespace selvedge::serve {

namespace {

/// Appends the shortest text that reads back as the same double; NaN and the infinities have no JSON form and become null.
void appendNumber(double value, std::string* json) {
  if (!std::isfinite(value)) {
    json->append("null");
    return;
  }
  char text[32];
  const char* end = value == std::trunc(value) && std::fabs(value) < 9e15 ? rapidjson::internal::i64toa(static_cast<int64_t>(value), text)
                                                                          : rapidjson::internal::dtoa(value, text);
  json->append(text, static_cast<size_t>(end - text));
}

template <typename Value>
void appendNumbers(const uint8_t* bytes, size_t count, std::string* json) {
  for (size_t index = 0; index < count; ++index) {
    Value value;
    std::memcpy(&value, bytes + index * sizeof(Value), sizeof(Value));
    if (index > 0) json->push_back(',');
    appendNumber(static_cast<double>(value), json);
  }
}

void appendData(const TensorInfo& info, const uint8_t* bytes, std::string* json) {
  const size_t count = info.elements();
  json->append(",\"data\":[");
  switch (info.type) {
    case DataType::float32: appendNumbers<float>(bytes, count, json); break;
    case DataType::int64: appendNumbers<int64_t>(bytes, count, json); break;
    case DataType::int32: appendNumbers<int32_t>(bytes, count, json); break;
    case DataType::uint8: appendNumbers<uint8_t>(bytes, count, json); break;
  }
  json->push_back(']');
}

void appendDescription(const TensorInfo& info, std::string* json) {
  json->append("{\"name\":");
  appendJsonString(info.name, json);
  json->append(",\"datatype\":\"").append(protocolType(info.type)).append("\",\"shape\":[");
  for (size_t index = 0; index < info.shape.size(); ++index) {
    if (index > 0) json->push_back(',');
    json->append(std::to_string(info.shape[index]));
  }
  json->push_back(']');
}

int findOutput(const std::vector<TensorInfo>& outputs, const std::string& name) {
  for (size_t index = 0; index < outputs.size(); ++index)
    if (outputs[index].name == name) return static_cast<int>(index);
  return -1;
}

void appendDescriptions(const std::vector<TensorInfo>& tensors, std::string* json) {
  for (size_t index = 0; index < tensors.size(); ++index) {
    if (index > 0) json->push_back(',');
    appendDescription(tensors[index], json);
    json->push_back('}');
  }
}

}  // namespace

Status checkOutputs(const InferRequest& request, const Engine& engine) {
  for (const RequestedOutput& wanted : request.outputs)
    if (findOutput(engine.outputs(), wanted.name) < 0)
      return Status::error("INPUT_INVALID", "The model has no output \"" + wanted.name + "\".");
  return Status::ok();
}

HttpResponse tensorResponse(const InferRequest& request, const PackageInfo& info, const Engine& engine) {
  const std::vector<TensorInfo>& outputs = engine.outputs();
  std::vector<RequestedOutput> wanted = request.outputs;
  for (size_t index = 0; request.outputs.empty() && index < outputs.size(); ++index) {
    wanted.emplace_back();
    wanted.back().name = outputs[index].name;
  }
  std::string json = "{\"model_name\":", behind, values;
  appendJsonString(info.model, &json);
  json += ",\"model_version\":";
  appendJsonString(info.version, &json);
  if (request.hasId) {
    json += ",\"id\":";
    appendJsonString(request.id, &json);
  }
  json += ",\"outputs\":[";
  for (size_t index = 0; index < wanted.size(); ++index) {
    const auto at = static_cast<size_t>(findOutput(outputs, wanted[index].name));
    const TensorInfo& output = outputs[at];
    values.resize(output.elements() * typeBytes(output.type));
    toShapeOrder(output, engine.outputData(at), values.data());
    if (index > 0) json.push_back(',');
    appendDescription(output, &json);
    const bool isBinary = wanted[index].binaryData < 0 ? request.binaryOutput : wanted[index].binaryData == 1;
    if (isBinary) {
      json += ",\"parameters\":{\"binary_data_size\":" + std::to_string(values.size()) + "}";
      behind += values;
    } else {
      appendData(output, reinterpret_cast<const uint8_t*>(values.data()), &json);
    }
    json.push_back('}');
  }
  json += "]}";
  HttpResponse response;
  if (!behind.empty()) {
    response.contentType = "application/octet-stream";
    response.headers = "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n";
  }
  response.body = std::move(json);
  response.body += behind;
  return response;
}

std::string modelMetadata(const PackageInfo& info, const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs) {
  std::string json = "{\"name\":";
  appendJsonString(info.model, &json);
  json += ",\"versions\":[";
  appendJsonString(info.version, &json);
  // The protocol's names are project_format; the model server has the same one for the same files.
  json += info.engine == "xnnpack" ? "],\"platform\":\"selvedge_xnnpack\"" : "],\"platform\":\"onnx_onnxruntime\"";
  json += ",\"inputs\":[";
  appendDescriptions(inputs, &json);
  json += "],\"outputs\":[";
  appendDescriptions(outputs, &json);
  json += "]}";
  return json;
}

}  // namespace selvedge::serve
