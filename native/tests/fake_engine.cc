// An engine for tests of what is around an engine: input "picture" [1, 3, 8, 8], kept as NHWC. The model file says in words
// what it computes: "classes": the mean of each channel, [1, 3]; "boxes": two boxes with those means as class scores,
// [1, 7, 2]; "refuse": every run fails. A number behind it: milliseconds that a run takes.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "engine/engine.h"

namespace selvedge {
namespace {

constexpr size_t kChannels = 3;
constexpr size_t kEdge = 8;
constexpr size_t kPixels = kEdge * kEdge;
constexpr size_t kBoxes = 2;

class FakeEngine final : public Engine {
 public:
  FakeEngine(std::string kind, int runMs) : kind_(std::move(kind)), runMs_(runMs) {
    inputs_.push_back({"picture", DataType::float32, {1, kChannels, kEdge, kEdge}, MemoryOrder::nhwc});
    if (kind_ == "boxes") outputs_.push_back({"boxes", DataType::float32, {1, 4 + kChannels, kBoxes}, MemoryOrder::asShape});
    else outputs_.push_back({"scores", DataType::float32, {1, kChannels}, MemoryOrder::asShape});
  }

  const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  const std::vector<TensorInfo>& outputs() const override { return outputs_; }
  void* inputData(size_t) override { return input_; }
  const void* outputData(size_t) const override { return output_; }
  std::string description() const override { return "fake 1"; }

  Status run() override {
    if (kind_ == "refuse") return Status::error("INFERENCE_FAILED", "The engine refuses.");
    std::this_thread::sleep_for(std::chrono::milliseconds(runMs_));
    float mean[kChannels] = {};
    for (size_t pixel = 0; pixel < kPixels; ++pixel) {
      for (size_t channel = 0; channel < kChannels; ++channel) mean[channel] += input_[pixel * kChannels + channel] / kPixels;
    }
    if (kind_ == "boxes") writeBoxes(mean);
    else std::memcpy(output_, mean, sizeof mean);
    return Status::ok();
  }

 private:
  /// Columns cx, cy, w, h, then the classes; one row of values each.
  void writeBoxes(const float* mean) {
    const float boxes[4][kBoxes] = {{2, 6}, {2, 5}, {2, 3}, {2, 4}};
    std::memcpy(output_, boxes, sizeof boxes);
    for (size_t channel = 0; channel < kChannels; ++channel) {
      output_[(4 + channel) * kBoxes] = mean[channel];
      output_[(4 + channel) * kBoxes + 1] = mean[kChannels - 1 - channel] / 2;
    }
  }

  std::string kind_;
  int runMs_;
  std::vector<TensorInfo> inputs_, outputs_;
  alignas(64) float input_[kPixels * kChannels + 16] = {};
  alignas(64) float output_[(4 + kChannels) * kBoxes] = {};
};

}  // namespace

Status openEngine(const EngineOptions& options, std::unique_ptr<Engine>* engine) {
  FILE* file = std::fopen(options.modelPath.c_str(), "re");
  if (file == nullptr) return Status::error("FILE_UNREADABLE", options.modelPath + " cannot be read.");
  char kind[16] = "";
  int runMs = 0;
  const int read = std::fscanf(file, "%15s %d", kind, &runMs);
  std::fclose(file);
  const bool known = std::strcmp(kind, "classes") == 0 || std::strcmp(kind, "boxes") == 0 || std::strcmp(kind, "refuse") == 0;
  if (read < 1 || !known) return Status::error("MODEL_INVALID", options.modelPath + " is no model of this engine.");
  *engine = std::make_unique<FakeEngine>(kind, runMs);
  return Status::ok();
}

}  // namespace selvedge
