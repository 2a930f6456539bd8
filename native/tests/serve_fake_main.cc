// A server with a made-up model, for tests of the server: scores = mean of each channel of "input", "copy" = "input".
//
// Environment: FAKE_INFER_MS each inference takes so long; FAKE_LOAD_MS so does loading; FAKE_OUTPUTS=2 adds "copy".
// The model file holds the gain as text; anything else is MODEL_INVALID, and a negative gain fails the self-test.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <time.h>
#include <vector>

#include "serve/server.h"

namespace {

using namespace selvedge;

int numberOf(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::atoi(text);
}

void sleepMs(int milliseconds) {
  timespec time{milliseconds / 1000, milliseconds % 1000 * 1'000'000L};
  if (milliseconds > 0) nanosleep(&time, nullptr);
}

class FakeEngine : public Engine {
 public:
  explicit FakeEngine(float gain) : gain_(gain) {
    inputs_ = {{"input", DataType::float32, {1, 3, 4, 4}, MemoryOrder::nhwc}};
    outputs_ = {{"scores", DataType::float32, {1, 3}, MemoryOrder::asShape}};
    if (numberOf("FAKE_OUTPUTS", 1) == 2) outputs_.push_back({"copy", DataType::float32, {1, 3, 4, 4}, MemoryOrder::nhwc});
  }
  const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  const std::vector<TensorInfo>& outputs() const override { return outputs_; }
  void* inputData(size_t) override { return input_; }
  Status run() override {
    sleepMs(numberOf("FAKE_INFER_MS", 0));
    for (size_t channel = 0; channel < 3; ++channel) {
      float sum = 0;
      for (size_t pixel = 0; pixel < 16; ++pixel) sum += input_[pixel * 3 + channel];
      scores_[channel] = sum / 16 * gain_;
    }
    return Status::ok();
  }
  const void* outputData(size_t index) const override { return index == 0 ? scores_ : input_; }
  std::string description() const override { return "fake"; }

 private:
  float gain_;
  std::vector<TensorInfo> inputs_, outputs_;
  alignas(64) float input_[48 + 16] = {};
  float scores_[3] = {};
};

class FakePipeline : public Pipeline {
 public:
  explicit FakePipeline(float gain) : engine_(gain), weights_(1 << 20, gain) {
    info_ = {"colours", "1", "linux-amd64", "onnxruntime", "fp32", {"red", "green", "blue"}};
  }
  const PackageInfo& info() const override { return info_; }
  Engine& engine() override { return engine_; }
  Status inferEncoded(Bytes picture, Result* result, StageTimes* times) override {
    const bool isJpeg = picture.size > 4 && picture.data[0] == 0xff && picture.data[1] == 0xd8;
    if (!isJpeg || picture.data[picture.size - 2] != 0xff || picture.data[picture.size - 1] != 0xd9)
      return Status::error("INPUT_INVALID", "This is not a whole picture.");
    times->decodeMs = 1;
    return inferImage(&image_, result, times);
  }
  Status inferImage(Image*, Result* result, StageTimes* times) override {
    times->inferMs = 2;
    const Status status = engine_.run();
    result->hasClasses = true;
    result->classes = {{1, weights_[0]}};
    return status;
  }
  const Image& lastImage() const override { return image_; }
  Status selfTest(double* largestDifference) override {
    *largestDifference = 0;
    return weights_[0] < 0 ? Status::error("SELF_TEST_FAILED", "The self-test is off by 1.") : Status::ok();
  }
  void resultJson(const Result& result, std::string* json) const override {
    char text[128];
    std::snprintf(text, sizeof text, "{\"top\":{\"label\":\"%s\",\"score\":%g}}", info_.labels[1].c_str(), static_cast<double>(result.classes[0].score));
    *json += text;
  }

 private:
  PackageInfo info_;
  FakeEngine engine_;
  /// Some megabytes, so that a leak at a change of the model shows.
  std::vector<float> weights_;
  Image image_;
};

Status openFake(const PipelineOptions& options, std::unique_ptr<Pipeline>* pipeline) {
  sleepMs(numberOf("FAKE_LOAD_MS", 0));
  const std::string path = options.modelPath.empty() ? options.folder + "/model.txt" : options.modelPath;
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) return Status::error("FILE_UNREADABLE", path + " cannot be read.");
  float gain = 0;
  const bool isGain = std::fscanf(file, "%f", &gain) == 1;
  std::fclose(file);
  if (!isGain) return Status::error("MODEL_INVALID", path + " is not a model.");
  *pipeline = std::make_unique<FakePipeline>(gain);
  return Status::ok();
}

}  // namespace

int main(int argc, char** argv) {
  PipelineOptions pipeline;
  ServeOptions options;
  for (int index = 1; index < argc; ++index) {
    const std::string flag = argv[index];
    const char* value = index + 1 < argc ? argv[index + 1] : "";
    const auto number = [&](const char* name, int* to) {
      if (flag == name) *to = std::atoi(value);
    };
    if (flag == "--package") pipeline.folder = value;
    if (flag == "--allow-reload") options.allowReload = true;
    number("--port", &options.port);
    number("--queue", &options.queueLimit);
    number("--drain-ms", &options.drainMs);
    number("--max-connections", &options.maxConnections);
    number("--header-timeout-ms", &options.headerTimeoutMs);
    number("--request-timeout-ms", &options.requestTimeoutMs);
    number("--idle-timeout-ms", &options.idleTimeoutMs);
  }
  return runServer(pipeline, options, openFake);
}
