#include "pipeline/golden.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include <rapidjson/document.h>

#include "base/json_value.h"
#include "input/read_file.h"

namespace selvedge {
namespace {

constexpr size_t kMaxGoldenBytes = 256 * 1024 * 1024;
/// Two tensors and a number need a few hundred bytes.
constexpr uint64_t kMaxHeaderBytes = 64 * 1024;
constexpr rapidjson::SizeType kMaxRank = 8;

/// A value of IEEE 754 half precision. Not by the compiler's own type, which the oldest ARM cores have no instruction for.
float halfToFloat(uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  const float size = exponent == 0    ? std::ldexp(static_cast<float>(fraction), -24)
                     : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                      : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

/// Reads a safetensors file: 8 bytes with the length of the header, the header in JSON, the values (little-endian, as every
/// target is).
class GoldenReader {
 public:
  GoldenReader(std::string file, const std::vector<uint8_t>& bytes) : file_(std::move(file)), bytes_(bytes) {}

  Status read(GoldenSample* sample) {
    uint64_t length = 0;
    if (bytes_.size() < sizeof length) return fault("is too short for a safetensors file");
    std::memcpy(&length, bytes_.data(), sizeof length);
    if (length > kMaxHeaderBytes || length > bytes_.size() - sizeof length) return fault("has a header of an impossible length");
    rapidjson::Document header;
    const char* text = reinterpret_cast<const char*>(bytes_.data() + sizeof length);
    header.Parse<rapidjson::kParseIterativeFlag>(text, static_cast<size_t>(length));
    if (header.HasParseError() || !header.IsObject()) return fault("has a header that is no JSON object");
    values_ = sizeof length + static_cast<size_t>(length);
    for (const auto& member : header.GetObject()) {
      const std::string name(member.name.GetString(), member.name.GetStringLength());
      Status status;
      if (name == "__metadata__") status = readMetadata(member.value, sample);
      else if (name.rfind("input/", 0) == 0) status = readTensor(name, member.value, &sample->input);
      else if (name.rfind("output/", 0) == 0) status = readTensor(name, member.value, &sample->output);
      else status = fault("has a tensor \"" + name + "\", which does not belong into a golden sample");
      if (!status.isOk()) return status;
    }
    const bool isComplete = !sample->input.data.empty() && !sample->output.data.empty() && sample->tolerance > 0;
    return isComplete ? Status::ok() : fault("must have a tensor \"input/NAME\", one \"output/NAME\", and a positive \"tolerance\" in its metadata");
  }

 private:
  Status fault(const std::string& what) const { return Status::error("INPUT_INVALID", file_ + ": " + what + "."); }

  Status readMetadata(const rapidjson::Value& metadata, GoldenSample* sample) const {
    const rapidjson::Value* found = member(&metadata, "tolerance");
    if (found == nullptr || !found->IsString()) return fault("has no \"tolerance\" in its metadata");
    // A number in JSON: the C library's own reader of numbers would add to the executable.
    rapidjson::Document number;
    number.Parse(found->GetString(), found->GetStringLength());
    if (number.HasParseError() || !isNumberIn(&number, 0, std::numeric_limits<float>::max())) return fault("has a \"tolerance\" that is no number");
    sample->tolerance = number.GetDouble();
    return Status::ok();
  }

  Status readTensor(const std::string& name, const rapidjson::Value& entry, GoldenTensor* tensor) const {
    const rapidjson::Value* type = member(&entry, "dtype");
    const rapidjson::Value* shape = member(&entry, "shape");
    const rapidjson::Value* place = member(&entry, "data_offsets");
    const bool isHalf = type != nullptr && type->IsString() && std::strcmp(type->GetString(), "F16") == 0;
    const bool isSingle = type != nullptr && type->IsString() && std::strcmp(type->GetString(), "F32") == 0;
    if (!isHalf && !isSingle) return fault("has \"" + name + "\" in another type than F16 or F32");
    if (!tensor->data.empty()) return fault("has two tensors like \"" + name + "\"");
    const size_t available = bytes_.size() - values_;
    size_t count = 1;
    if (shape == nullptr || !shape->IsArray() || shape->Size() > kMaxRank) return fault("has \"" + name + "\" without a shape");
    for (const rapidjson::Value& edge : shape->GetArray()) {
      int64_t size = 0;
      if (!readInt(&edge, 1, static_cast<int64_t>(kMaxGoldenBytes), &size) || count > available / static_cast<size_t>(size)) {
        return fault("has \"" + name + "\" with an impossible shape");
      }
      count *= static_cast<size_t>(size);
      tensor->shape.push_back(size);
    }
    int64_t begin = 0;
    int64_t end = 0;
    const auto most = static_cast<int64_t>(available);
    const auto bytes = static_cast<int64_t>(count * (isHalf ? sizeof(uint16_t) : sizeof(float)));
    const bool hasPlace = place != nullptr && place->IsArray() && place->Size() == 2 && readInt(&(*place)[0], 0, most, &begin) &&
                          readInt(&(*place)[1], begin, most, &end) && end - begin == bytes;
    if (!hasPlace) return fault("has \"" + name + "\" at a place that does not hold its values");
    tensor->name = name.substr(name.find('/') + 1);
    readValues(bytes_.data() + values_ + begin, count, isHalf, &tensor->data);
    return Status::ok();
  }

  static void readValues(const uint8_t* from, size_t count, bool isHalf, std::vector<float>* values) {
    values->resize(count);
    if (!isHalf) {
      std::memcpy(values->data(), from, count * sizeof(float));
      return;
    }
    for (size_t index = 0; index < count; ++index) {
      uint16_t bits = 0;
      std::memcpy(&bits, from + index * sizeof bits, sizeof bits);
      (*values)[index] = halfToFloat(bits);
    }
  }

  const std::string file_;
  const std::vector<uint8_t>& bytes_;
  /// Where the values begin.
  size_t values_ = 0;
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
  return parseGolden(file, bytes, sample);
}

Status parseGolden(const std::string& file, const std::vector<uint8_t>& bytes, GoldenSample* sample) {
  *sample = {};
  return GoldenReader(file, bytes).read(sample);
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
