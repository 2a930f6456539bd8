// A package that is loaded: picture in, result out. Used by the command line, the server and the benchmark alike.
#ifndef SELVEDGE_PIPELINE_PIPELINE_H
#define SELVEDGE_PIPELINE_PIPELINE_H

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "engine/engine.h"
#include "image/image.h"
#include "ops/postproc.h"
#include "ops/preproc.h"

namespace selvedge {

/// What the runtime needs of manifest.json.
struct PackageInfo {
  std::string model, version, target, engine, precision;
  std::vector<std::string> labels;
};

/// Milliseconds of each stage of one inference.
struct StageTimes {
  double decodeMs = 0, preprocMs = 0, inferMs = 0, postprocMs = 0;
};

/// One caller at a time.
class Pipeline {
 public:
  virtual ~Pipeline() = default;
  virtual const PackageInfo& info() const = 0;
  virtual Engine& engine() = 0;
  /// Encoded picture (JPEG, PNG) to result.
  virtual Status inferEncoded(Bytes picture, Result* result, StageTimes* times) = 0;
  /// Decoded picture to result; `image` may be changed by user steps.
  virtual Status inferImage(Image* image, Result* result, StageTimes* times) = 0;
  /// The picture of the last inferEncoded, for annotation.
  virtual const Image& lastImage() const = 0;
  /// Where the last picture lies in the model's input, for annotation: see boxToSource.
  virtual PictureTransform lastTransform() const { return {}; }
  /// Runs the golden sample of the package. @returns SELF_TEST_FAILED with the difference; ok when there is none.
  virtual Status selfTest(double* largestDifference) = 0;
  /// The result of the last inference as the JSON of `POST /v1/infer`'s "result", with what the user's steps added.
  virtual void resultJson(const Result& result, std::string* json) const = 0;
};

struct PipelineOptions {
  /// Folder with manifest.json.
  std::string folder;
  /// Replaces the package's model file (hot swap); empty: the one in the manifest.
  std::string modelPath;
  int threads = 1;
};

Status openPipeline(const PipelineOptions& options, std::unique_ptr<Pipeline>* pipeline);

}  // namespace selvedge

#endif
