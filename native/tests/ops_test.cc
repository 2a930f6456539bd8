// What the golden cases do not show: chains that are refused, places in the picture, memory orders of outputs, JSON.
#include <cstring>

#include "ops/postproc.h"
#include "ops/preproc.h"
#include "tests/check.h"

using namespace selvedge;

namespace {

rapidjson::Document parse(const char* text) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(text);
  CHECK(!document.HasParseError());
  return document;
}

TensorInfo tensorOf(std::vector<int64_t> shape, MemoryOrder order = MemoryOrder::asShape) {
  TensorInfo info;
  info.name = "t";
  info.shape = std::move(shape);
  info.order = order;
  return info;
}

class FixedEngine : public Engine {
 public:
  FixedEngine(TensorInfo output, std::vector<float> values) : outputs_{std::move(output)}, values_(std::move(values)) {}
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

void checkCode(const char* spec, const TensorInfo& input, const char* code) {
  const rapidjson::Document document = parse(spec);
  std::unique_ptr<Preproc> preproc;
  const Status status = compilePreproc(document, input, &preproc);
  if (std::string(status.code()) != code) reportFailure(__FILE__, __LINE__, std::string(spec) + ": " + status.message());
}

void checkRefusedChains() {
  const TensorInfo input = tensorOf({1, 3, 8, 6});
  const char* const size = R"({"pipeline":["resize","hwctochw"],"params":{"resize":[8,6]}})";
  checkCode(size, input, "");
  checkCode(size, tensorOf({1, 3, 8, 6}, MemoryOrder::nhwc), "");
  checkCode(size, tensorOf({1, 8, 6, 3}), "INPUT_INVALID");
  checkCode(size, tensorOf({3, 8, 6}), "INPUT_INVALID");
  checkCode(size, tensorOf({2, 3, 8, 6}), "INPUT_INVALID");
  checkCode(R"({"pipeline":["resize"],"params":{"resize":[8,6]}})", tensorOf({1, 8, 6, 3}), "");
  checkCode(R"({"pipeline":["hwctochw"]})", input, "");
  checkCode("[]", input, "INPUT_INVALID");
  checkCode(R"({"pipeline":["hwctochw","resize"],"params":{"resize":[8,6]}})", input, "INPUT_INVALID");
  checkCode(R"({"pipeline":["resize","resize","hwctochw"],"params":{"resize":[8,6]}})", input, "INPUT_INVALID");
  checkCode(R"({"pipeline":["resize","hwctochw"]})", input, "INPUT_INVALID");
  checkCode(R"({"pipeline":["resize","hwctochw"],"params":{"resize":[8,1e9]}})", input, "INPUT_INVALID");
  checkCode(R"({"pipeline":["blur","hwctochw"]})", input, "INPUT_INVALID");
  checkCode(R"({"pipeline":["hwctochw","normalize"],"params":{"normalize":{"mean":[1,2],"std":[1,1]}}})", input, "INPUT_INVALID");
  checkCode(R"({"pipeline":["hwctochw","normalize"],"params":{"normalize":{"mean":[1],"std":[0]}}})", input, "INPUT_INVALID");
}

Image flat(int width, int height, uint8_t value) {
  Image image;
  image.width = image.sourceWidth = width;
  image.height = image.sourceHeight = height;
  image.rgb.assign(static_cast<size_t>(width) * static_cast<size_t>(height) * 3, value);
  return image;
}

void checkLetterboxPlace() {
  const rapidjson::Document spec = parse(R"({"pipeline":["letterbox","hwctochw"],"params":{"letterbox":{"size":[32,32],"fill":7}}})");
  std::unique_ptr<Preproc> preproc;
  CHECK_CODE(compilePreproc(spec, tensorOf({1, 3, 32, 32}), &preproc), "");
  int width = 0, height = 0;
  preproc->smallestUsefulSize(&width, &height);
  CHECK_EQ(width, 32);
  CHECK_EQ(height, 32);
  std::vector<float> out(3 * 32 * 32);
  PictureTransform transform;
  // Decoded at half its size of 129 x 65: boxes are still told in those pixels.
  Image image = flat(65, 33, 200);
  image.sourceWidth = 129;
  image.sourceHeight = 65;
  CHECK_CODE(preproc->run(image, out.data(), &transform), "");
  CHECK_EQ(out[0], 7.0F);
  CHECK_EQ(out[16 * 32], 200.0F);
  Box box;
  box.x1 = 0;
  box.y1 = 8;
  box.x2 = 32;
  box.y2 = 24;
  const Box source = boxToSource(box, transform);
  CHECK_EQ(source.x1, 0.0F);
  CHECK_EQ(source.y1, 0.0F);
  CHECK(source.x2 > 128.9F && source.x2 < 129.1F);
  CHECK(source.y2 > 64.9F && source.y2 < 65.1F);
}

void checkWrongPictures() {
  const rapidjson::Document spec = parse(R"({"pipeline":["hwctochw"]})");
  std::unique_ptr<Preproc> preproc;
  CHECK_CODE(compilePreproc(spec, tensorOf({1, 3, 4, 5}), &preproc), "");
  std::vector<float> out(60);
  PictureTransform transform;
  CHECK_CODE(preproc->run(flat(5, 4, 9), out.data(), &transform), "");
  CHECK_EQ(out[59], 9.0F);
  CHECK_CODE(preproc->run(flat(4, 5, 9), out.data(), &transform), "SHAPE_MISMATCH");
  Image cut = flat(5, 4, 9);
  cut.rgb.pop_back();
  CHECK_CODE(preproc->run(cut, out.data(), &transform), "INPUT_INVALID");
}

/// The JSON of a chain's result, or the code of its error.
std::string resultOf(const char* spec, const TensorInfo& output, std::vector<float> values, const std::vector<std::string>& labels) {
  const rapidjson::Document document = parse(spec);
  const FixedEngine engine(output, std::move(values));
  std::unique_ptr<Postproc> postproc;
  Status status = compilePostproc(document, engine.outputs(), labels.size(), &postproc);
  Result result;
  if (status.isOk()) status = postproc->run(engine, PictureTransform{}, PictureSize{}, &result);
  std::string json = status.code();
  if (status.isOk()) appendResultJson(result, labels, &json);
  return json;
}

void checkResults() {
  const char* const empty = R"({"pipeline":[]})";
  const char* const nms = R"({"pipeline":["nms"],"params":{"nms":{"IoU_thr":0.5,"conf_thr":0.1}}})";
  CHECK_EQ(resultOf(empty, tensorOf({1, 2}), {0.5F, 0.1F}, {}), R"({"tensor":{"shape":[1,2],"values":[0.5,0.10000000149011612]}})");
  CHECK_EQ(resultOf(empty, tensorOf({1, 2}), {-0.0F, 2}, {"a", "b\""}),
           R"({"top":{"label":"b\"","index":1,"score":2},"scores":[0,2]})");
  CHECK_EQ(resultOf(empty, tensorOf({1, 2, 1, 2}, MemoryOrder::nhwc), {1, 3, 2, 4}, {}),
           R"({"tensor":{"shape":[1,2,1,2],"values":[1,2,3,4]}})");
  CHECK_EQ(resultOf(R"({"pipeline":["topk"],"params":{"topk":{"k":5}}})", tensorOf({1, 2, 1, 1}, MemoryOrder::nhwc), {1, 1}, {}),
           R"({"top":{"label":"0","index":0,"score":1},"topk":[{"label":"0","index":0,"score":1},{"label":"1","index":1,"score":1}]})");
  CHECK_EQ(resultOf(nms, tensorOf({1, 2, 5}), {4, 4, 2, 2, 0.5F, 4, 4, 2, 2, 0.75F}, {"x"}),
           R"({"boxes":[{"box":[3,3,5,5],"label":"x","index":0,"score":0.75}]})");
  CHECK_EQ(resultOf(nms, tensorOf({1, 2, 5}), std::vector<float>(10, 0), {"x"}), R"({"boxes":[]})");
  CHECK_EQ(resultOf(nms, tensorOf({1, 2, 6}), std::vector<float>(12, 0), {"x"}), "SHAPE_MISMATCH");
  CHECK_EQ(resultOf(R"({"pipeline":["softmax"]})", tensorOf({1, 2, 2}), {1, 2, 3, 4}, {}), "SHAPE_MISMATCH");
  CHECK_EQ(resultOf(R"({"pipeline":["softmax"]})", tensorOf({1, 2}), {1, 2}, {"a"}), "SHAPE_MISMATCH");
  CHECK_EQ(resultOf(empty, tensorOf({1, 2}), {1, 0.0F / 0.0F}, {}), "PREPROC_INVALID");
  CHECK_EQ(resultOf(R"({"pipeline":["topk","softmax"],"params":{"topk":{"k":1}}})", tensorOf({1, 2}), {1, 2}, {}), "INPUT_INVALID");
  CHECK_EQ(resultOf(R"({"pipeline":["nms"]})", tensorOf({1, 2, 5}), std::vector<float>(10, 0), {}), "INPUT_INVALID");
}

}  // namespace

int main() {
  checkRefusedChains();
  checkLetterboxPlace();
  checkWrongPictures();
  checkResults();
  return checkResult();
}
