#include "pipeline/golden.h"

#include <cmath>
#include <cstdio>
#include <cstring>

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include "input/read_file.h"

namespace selvedge {
namespace {

constexpr size_t kMaxGoldenBytes = 256 * 1024 * 1024;
constexpr size_t kMaxRank = 8;

/// Takes the numbers straight from the text: a sample of a detector has a million of them, and a document of them would
/// need five times the memory of the file.
class GoldenReader : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, GoldenReader> {
 public:
  explicit GoldenReader(GoldenSample* sample) : sample_(sample) {}

  bool Default() { return false; }
  bool Bool(bool) { return false; }
  bool Null() { return false; }
  bool Int(int value) { return number(value); }
  bool Uint(unsigned value) { return number(value); }
  bool Int64(int64_t value) { return number(static_cast<double>(value)); }
  bool Uint64(uint64_t value) { return number(static_cast<double>(value)); }
  bool Double(double value) { return number(value); }
  bool String(const char* text, rapidjson::SizeType length, bool) {
    if (tensor_ == nullptr || key_ != "name" || inArray_) return false;
    tensor_->name.assign(text, length);
    return true;
  }
  bool StartObject() {
    depth_ += 1;
    if (depth_ == 1) return true;
    if (depth_ != 2 || inArray_) return false;
    tensor_ = key_ == "input" ? &sample_->input : key_ == "output" ? &sample_->output : nullptr;
    return tensor_ != nullptr;
  }
  bool EndObject(rapidjson::SizeType) {
    depth_ -= 1;
    tensor_ = nullptr;
    return true;
  }
  bool Key(const char* text, rapidjson::SizeType length, bool) {
    key_.assign(text, length);
    return true;
  }
  bool StartArray() {
    if (tensor_ == nullptr || inArray_ || (key_ != "shape" && key_ != "data")) return false;
    inArray_ = true;
    return true;
  }
  bool EndArray(rapidjson::SizeType) {
    inArray_ = false;
    return true;
  }

 private:
  bool number(double value) {
    if (tensor_ == nullptr) {
      if (depth_ != 1 || key_ != "tolerance") return false;
      sample_->tolerance = value;
      return true;
    }
    if (!inArray_) return false;
    if (key_ == "data") {
      tensor_->data.push_back(static_cast<float>(value));
      return true;
    }
    if (!(value >= 1 && value <= 1e9) || value != std::floor(value) || tensor_->shape.size() >= kMaxRank) return false;
    tensor_->shape.push_back(static_cast<int64_t>(value));
    return true;
  }

  GoldenSample* sample_;
  GoldenTensor* tensor_ = nullptr;
  std::string key_;
  int depth_ = 0;
  bool inArray_ = false;
};

std::string shapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t axis = 0; axis < shape.size(); ++axis) text += (axis == 0 ? "" : ",") + std::to_string(shape[axis]);
  return text + "]";
}

/// The tensor of that name; it must be float32 and have the sample's shape and count.
Status findTensor(const std::vector<TensorInfo>& tensors, const GoldenTensor& golden, const char* what, size_t* index) {
  for (*index = 0; *index < tensors.size(); ++*index) {
    const TensorInfo& tensor = tensors[*index];
    if (tensor.name != golden.name) continue;
    if (tensor.type == DataType::float32 && tensor.shape == golden.shape && tensor.elements() == golden.data.size()) {
      return Status::ok();
    }
    return Status::error("SHAPE_MISMATCH", std::string("The golden sample's ") + what + " \"" + golden.name + "\" is float32 " +
                                               shapeText(golden.shape) + "; the model has " + shapeText(tensor.shape) + ".");
  }
  return Status::error("SHAPE_MISMATCH", std::string("The model has no ") + what + " \"" + golden.name + "\", which the golden sample names.");
}

}  // namespace

size_t memoryIndex(const TensorInfo& tensor, size_t index) {
  if (tensor.order == MemoryOrder::asShape || tensor.shape.size() != 4) return index;
  const auto channels = static_cast<size_t>(tensor.shape[1]);
  const auto area = static_cast<size_t>(tensor.shape[2] * tensor.shape[3]);
  const size_t picture = index / (channels * area);
  const size_t channel = index / area % channels;
  const size_t pixel = index % area;
  return (picture * area + pixel) * channels + channel;
}

Status readGolden(const std::string& file, GoldenSample* sample) {
  std::vector<uint8_t> bytes;
  if (Status status = readFile(file, kMaxGoldenBytes, &bytes); !status.isOk()) return status;
  *sample = {};
  GoldenReader handler(sample);
  rapidjson::Reader reader;
  rapidjson::MemoryStream stream(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> input(stream);
  const rapidjson::ParseResult parsed = reader.Parse<rapidjson::kParseIterativeFlag>(input, handler);
  if (parsed.IsError()) {
    return Status::error("INPUT_INVALID", file + ": at byte " + std::to_string(parsed.Offset()) + ": " +
                                              (parsed.Code() == rapidjson::kParseErrorTermination
                                                   ? "this does not belong into a golden sample."
                                                   : rapidjson::GetParseError_En(parsed.Code())));
  }
  const bool complete = !sample->input.data.empty() && !sample->output.data.empty() && sample->tolerance > 0;
  return complete ? Status::ok() : Status::error("INPUT_INVALID", file + ": must have \"input\", \"output\" and a positive \"tolerance\".");
}

Status runGolden(const GoldenSample& sample, Engine* engine, double* largestDifference) {
  size_t input = 0;
  size_t output = 0;
  if (Status status = findTensor(engine->inputs(), sample.input, "input", &input); !status.isOk()) return status;
  if (Status status = findTensor(engine->outputs(), sample.output, "output", &output); !status.isOk()) return status;
  auto* destination = static_cast<float*>(engine->inputData(input));
  const TensorInfo& inputInfo = engine->inputs()[input];
  for (size_t index = 0; index < sample.input.data.size(); ++index) {
    destination[memoryIndex(inputInfo, index)] = sample.input.data[index];
  }
  if (Status status = engine->run(); !status.isOk()) return status;
  const auto* values = static_cast<const float*>(engine->outputData(output));
  const TensorInfo& outputInfo = engine->outputs()[output];
  double worst = 0;
  for (size_t index = 0; index < sample.output.data.size(); ++index) {
    const double difference = std::fabs(static_cast<double>(values[memoryIndex(outputInfo, index)]) - static_cast<double>(sample.output.data[index]));
    // A NaN anywhere must fail the test, and no comparison with NaN is true.
    if (!(difference <= worst)) worst = difference;
    if (std::isnan(worst)) break;
  }
  *largestDifference = worst;
  if (worst <= sample.tolerance) return Status::ok();
  char text[160];
  std::snprintf(text, sizeof text, "The self-test is off by %g; %g is allowed. The model computes wrong values on this device.", worst,
                sample.tolerance);
  return Status::error("SELF_TEST_FAILED", text);
}

}  // namespace selvedge
