// Every golden case, in both memory orders: golden_test FOLDER. Prints the result of each postproc case as a line of JSON,
// which the suite compares with what the reference makes.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "ops/chain.h"
#include "ops/postproc.h"
#include "tests/check.h"
#include "tests/test_files.h"

using namespace selvedge;

namespace {

using Json = rapidjson::Value;

struct Side {
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
  std::vector<float> floats;
  bool channelsFirst = false;
};

Side readSide(const std::string& folder, const Json& meta) {
  Side side;
  for (const Json& edge : meta["shape"].GetArray()) side.shape.push_back(edge.GetInt64());
  const std::vector<uint8_t> bytes = readTestFile(folder + "/" + meta["file"].GetString());
  side.channelsFirst = meta.HasMember("layout") && std::string(meta["layout"].GetString()) == "CHW";
  if (std::string(meta["dataType"].GetString()) == "uint8") {
    side.bytes = bytes;
  } else {
    side.floats.resize(bytes.size() / sizeof(float));
    if (!bytes.empty()) std::memcpy(side.floats.data(), bytes.data(), bytes.size());
  }
  return side;
}

/// Distance in units in the last place.
int64_t ulps(float a, float b) {
  int32_t x = 0, y = 0;
  std::memcpy(&x, &a, sizeof(x));
  std::memcpy(&y, &b, sizeof(y));
  const auto ordered = [](int32_t bits) -> int64_t { return bits < 0 ? int64_t{INT32_MIN} - bits : bits; };
  return std::llabs(ordered(x) - ordered(y));
}

void compare(const std::string& name, const std::vector<float>& actual, const std::vector<float>& expected, int64_t tolerance) {
  CHECK_EQ(actual.size(), expected.size());
  int64_t worst = 0;
  for (size_t i = 0; i < actual.size() && i < expected.size(); i++) worst = std::max(worst, ulps(actual[i], expected[i]));
  if (worst > tolerance) reportFailure(__FILE__, __LINE__, name + " is off by " + std::to_string(worst) + " ulp");
}

/// [C, H, W] to [H, W, C] or back.
std::vector<float> otherOrder(const std::vector<float>& values, bool channelsFirst, const PictureForm& form) {
  std::vector<float> out(values.size());
  const size_t channels = static_cast<size_t>(form.channels), pixels = channels == 0 ? 0 : values.size() / channels;
  for (size_t c = 0; c < channels; c++) {
    for (size_t p = 0; p < pixels; p++) {
      const size_t planar = c * pixels + p, packed = p * channels + c;
      out[channelsFirst ? packed : planar] = values[channelsFirst ? planar : packed];
    }
  }
  return out;
}

/// The chain itself, which reads tensors and every kind of picture.
void checkChain(const std::string& name, const std::vector<ChainStep>& steps, const Side& input, const Side& output, int64_t tolerance) {
  const size_t y = input.channelsFirst ? 1 : 0;
  PictureForm form{{input.shape[y], input.shape[y + 1]}, static_cast<int>(input.shape[input.channelsFirst ? 0 : 2]), input.channelsFirst};
  PixelSource source;
  source.size = form.size;
  source.pixelStride = input.channelsFirst ? 1 : static_cast<size_t>(form.channels);
  source.channelStride = input.channelsFirst ? static_cast<size_t>(form.size.height * form.size.width) : 1;
  if (input.floats.empty()) {
    source.bytes = input.bytes.data();
    if (form.channels == 1) source.channelStride = 0;
    form.channels = 3;
  } else {
    source.floats = input.floats.data();
  }
  Chain chain(steps);
  CHECK_CODE(chain.plan(form, form.size, source.isPackedRgb()), "");
  const std::vector<float> other = otherOrder(output.floats, output.channelsFirst, chain.output());
  std::vector<float> actual(output.floats.size());
  // Twice: the second picture must not see rows of the first.
  for (int round = 0; round < 2; round++) {
    chain.run(source, output.channelsFirst, actual.data());
    compare(name, actual, output.floats, tolerance);
    chain.run(source, !output.channelsFirst, actual.data());
    compare(name + " in the other order", actual, other, tolerance);
  }
}

/// The interface that the pipeline uses, with an RGB picture.
void checkPreproc(const std::string& name, const Json& spec, const Side& input, const Side& output, int64_t tolerance) {
  Image image;
  image.height = image.sourceHeight = static_cast<int>(input.shape[0]);
  image.width = image.sourceWidth = static_cast<int>(input.shape[1]);
  const size_t channels = static_cast<size_t>(input.shape[2]);
  for (size_t at = 0; at < input.bytes.size(); at += channels) {
    for (size_t c = 0; c < 3; c++) image.rgb.push_back(input.bytes[at + (channels == 1 ? 0 : c)]);
  }
  TensorInfo tensor;
  tensor.shape = {1, output.shape[0], output.shape[1], output.shape[2]};
  PictureForm form;
  form.channels = static_cast<int>(output.shape[output.channelsFirst ? 0 : 2]);
  for (const MemoryOrder order : {MemoryOrder::asShape, MemoryOrder::nhwc}) {
    if (order == MemoryOrder::nhwc && !output.channelsFirst) continue;
    tensor.order = order;
    std::unique_ptr<Preproc> preproc;
    CHECK_CODE(compilePreproc(spec, tensor, &preproc), "");
    if (preproc == nullptr) continue;
    std::vector<float> actual(output.floats.size());
    PictureTransform transform;
    CHECK_CODE(preproc->run(image, actual.data(), &transform), "");
    compare(name + " (picture)", actual, order == MemoryOrder::nhwc ? otherOrder(output.floats, true, form) : output.floats, tolerance);
  }
}

/// Gives a tensor as its only output.
class FixedEngine : public Engine {
 public:
  explicit FixedEngine(const Side& side) : values_(side.floats) {
    outputs_.resize(1);
    outputs_[0].shape = side.shape;
  }
  const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  const std::vector<TensorInfo>& outputs() const override { return outputs_; }
  void* inputData(size_t) override { return nullptr; }
  Status run() override { return Status::ok(); }
  const void* outputData(size_t) const override { return values_.data(); }
  std::string description() const override { return "fixed"; }

 private:
  std::vector<TensorInfo> inputs_, outputs_;
  std::vector<float> values_;
};

std::vector<float> rowsOf(const Result& result) {
  std::vector<float> rows;
  for (const Box& box : result.boxes) {
    rows.insert(rows.end(), {box.x1, box.y1, box.x2, box.y2, static_cast<float>(box.index), box.score});
  }
  if (result.hasBoxes) return rows;
  for (const ScoredClass& entry : result.classes) rows.insert(rows.end(), {static_cast<float>(entry.index), entry.score});
  return rows;
}

void checkPostproc(const std::string& name, const Json& golden, const Side& input, const Side& output, int64_t tolerance) {
  std::vector<std::string> labels;
  if (golden.HasMember("labels")) {
    for (const Json& label : golden["labels"].GetArray()) labels.emplace_back(label.GetString());
  }
  FixedEngine engine(input);
  std::unique_ptr<Postproc> postproc;
  CHECK_CODE(compilePostproc(golden["spec"], engine.outputs(), labels.size(), &postproc), "");
  if (postproc == nullptr) return;
  Result result;
  for (int round = 0; round < 2; round++) {
    CHECK_CODE(postproc->run(engine, PictureTransform{}, PictureSize{}, &result), "");
    compare(name, golden["output"].HasMember("columns") ? rowsOf(result) : result.scores, output.floats, tolerance);
  }
  std::string json;
  appendResultJson(result, labels, &json);
  std::printf("%s %s\n", name.c_str(), json.c_str());
}

void checkCase(const std::string& folder, const std::string& file) {
  const std::vector<uint8_t> text = readTestFile(folder + "/" + file);
  rapidjson::Document golden;
  golden.Parse<rapidjson::kParseIterativeFlag>(reinterpret_cast<const char*>(text.data()), text.size());
  CHECK(!golden.HasParseError() && golden.IsObject());
  if (golden.HasParseError() || !golden.IsObject()) return;
  const std::string name = golden["name"].GetString();
  const int64_t tolerance = golden["toleranceUlp"].GetInt64();
  const Side input = readSide(folder, golden["input"]), output = readSide(folder, golden["output"]);
  if (std::string(golden["kind"].GetString()) == "postproc") return checkPostproc(name, golden, input, output, tolerance);
  std::vector<ChainStep> steps;
  CHECK_CODE(parseChain(golden["spec"], &steps), "");
  checkChain(name, steps, input, output, tolerance);
  if (input.floats.empty()) checkPreproc(name, golden["spec"], input, output, tolerance);
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> names = listTestFiles(count > 1 ? arguments[1] : ".", ".json");
  CHECK(!names.empty());
  for (const std::string& name : names) checkCase(arguments[1], name);
  return checkResult();
}
