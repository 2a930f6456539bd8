#include "pipeline/pipeline.h"

#include <chrono>

#include "pipeline/golden.h"
#include "pipeline/manifest.h"
#include "pipeline/user_steps.h"

namespace selvedge {
namespace {

using Clock = std::chrono::steady_clock;

double takeMs(Clock::time_point* since) {
  const Clock::time_point now = Clock::now();
  const double passed = std::chrono::duration<double, std::milli>(now - *since).count();
  *since = now;
  return passed;
}

class PackagePipeline final : public Pipeline {
 public:
  Status open(const PipelineOptions& options);
  const PackageInfo& info() const override { return manifest_.info; }
  Engine& engine() override { return *engine_; }
  Status inferEncoded(Bytes picture, Result* result, StageTimes* times) override;
  Status inferImage(Image* image, Result* result, StageTimes* times) override;
  const Image& lastImage() const override { return image_; }
  PictureTransform lastTransform() const override { return transform_; }
  Status selfTest(double* largestDifference) override;
  void resultJson(const Result& result, std::string* json) const override;

 private:
  std::string folder_;
  Manifest manifest_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Preproc> preproc_;
  std::unique_ptr<Postproc> postproc_;
  DecodeOptions decode_;
  Image image_;
  PictureTransform transform_;
  /// JSON that the user's steps added to the last result.
  std::string extra_;
};

Status PackagePipeline::open(const PipelineOptions& options) {
  folder_ = options.folder;
  if (Status status = readManifest(folder_, &manifest_); !status.isOk()) return status;
  EngineOptions engineOptions;
  engineOptions.modelPath = options.modelPath.empty() ? folder_ + "/" + manifest_.modelFile : options.modelPath;
  engineOptions.threads = options.threads;
  if (Status status = openEngine(engineOptions, &engine_); !status.isOk()) return status;
  if (engine_->inputs().empty()) return Status::error("SHAPE_MISMATCH", "The model has no input.");
  if (engine_->outputs().empty()) return Status::error("SHAPE_MISMATCH", "The model has no output.");
  if (Status status = compilePreproc(manifest_.preproc(), engine_->inputs()[0], &preproc_); !status.isOk()) return status;
  Status status = compilePostproc(manifest_.postproc(), engine_->outputs(), manifest_.info.labels.size(), &postproc_);
  // A step of the user is promised the picture as it was sent.
  if (status.isOk() && manifest_.dctScaling && !hasPreSteps()) {
    preproc_->smallestUsefulSize(&decode_.minWidth, &decode_.minHeight);
  }
  return status;
}

Status PackagePipeline::inferEncoded(Bytes picture, Result* result, StageTimes* times) {
  Clock::time_point since = Clock::now();
  Status status = decodeImage(picture, decode_, &image_);
  const double decodeMs = takeMs(&since);
  if (status.isOk()) status = inferImage(&image_, result, times);
  times->decodeMs = decodeMs;
  return status;
}

Status PackagePipeline::inferImage(Image* image, Result* result, StageTimes* times) {
  *times = {};
  Clock::time_point since = Clock::now();
  const int64_t bytes = static_cast<int64_t>(image->width) * image->height * 3;
  if (image->width < 1 || image->height < 1 || image->rgb.size() != static_cast<size_t>(bytes)) {
    return Status::error("INPUT_INVALID", "The picture's pixels do not fill its width and height.");
  }
  if (image->sourceWidth < 1 || image->sourceHeight < 1) {
    image->sourceWidth = image->width;
    image->sourceHeight = image->height;
  }
  if (Status status = runPreSteps(image); !status.isOk()) return status;
  if (Status status = preproc_->run(*image, static_cast<float*>(engine_->inputData(0)), &transform_); !status.isOk()) return status;
  times->preprocMs = takeMs(&since);
  if (Status status = engine_->run(); !status.isOk()) return status;
  times->inferMs = takeMs(&since);
  const PictureSize source{image->sourceWidth, image->sourceHeight};
  Status status = postproc_->run(*engine_, transform_, source, result);
  if (status.isOk()) status = runPostSteps(manifest_.info.labels, transform_, result, &extra_);
  times->postprocMs = takeMs(&since);
  return status;
}

Status PackagePipeline::selfTest(double* largestDifference) {
  *largestDifference = 0;
  if (manifest_.goldenFile.empty()) return Status::ok();
  GoldenSample sample;
  if (Status status = readGolden(folder_ + "/" + manifest_.goldenFile, &sample); !status.isOk()) return status;
  return runGolden(sample, engine_.get(), largestDifference);
}

void PackagePipeline::resultJson(const Result& result, std::string* json) const {
  appendResultJson(result, manifest_.info.labels, json);
  if (extra_.empty()) return;
  const bool empty = json->size() >= 2 && (*json)[json->size() - 2] == '{';
  json->pop_back();
  *json += empty ? "\"extra\":" : ",\"extra\":";
  *json += extra_ + "}";
}

}  // namespace

Status openPipeline(const PipelineOptions& options, std::unique_ptr<Pipeline>* pipeline) {
  auto opened = std::make_unique<PackagePipeline>();
  Status status = opened->open(options);
  if (status.isOk()) *pipeline = std::move(opened);
  return status;
}

}  // namespace selvedge
