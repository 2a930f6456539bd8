// Model outputs to results: the post-processing chain of a pipeline.
#ifndef SELVEDGE_OPS_POSTPROC_H
#define SELVEDGE_OPS_POSTPROC_H

#include <memory>
#include <string>
#include <vector>

#include <rapidjson/document.h>

#include "base/status.h"
#include "engine/engine.h"
#include "ops/preproc.h"

namespace selvedge {

struct ScoredClass {
  int index = 0;
  float score = 0;
};

/// Corners in pixels of the model's input, as the model server gives them; see boxToSource for the picture's own pixels.
struct Box {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  float score = 0;
  int index = 0;
};

/// What a picture gave. Which of the parts are filled depends on the chain (`has...`):
/// `topk`: classes. A classifier without topk: classes (the best one) and scores. `nms`: boxes. Anything else: scores and
/// shape, the output as it is.
struct Result {
  bool hasClasses = false, hasBoxes = false, hasScores = false;
  std::vector<ScoredClass> classes;  ///< best first
  std::vector<Box> boxes;            ///< best first
  std::vector<float> scores;         ///< row-major in the ONNX shape, whatever the engine's memory order
  std::vector<int64_t> shape;        ///< of `scores`, as in the ONNX model
};

/// What a class is called: without a label, the index as text stands for it.
inline std::string classLabel(int index, const std::vector<std::string>& labels) {
  const size_t at = static_cast<size_t>(index);
  return at < labels.size() ? labels[at] : std::to_string(index);
}

struct PictureSize {
  int width = 0, height = 0;
};

/// A box in pixels of the picture that was sent (before any scaled decode), not clipped to it.
Box boxToSource(const Box& box, const PictureTransform& transform);

/// A chain compiled for the outputs of one model. Formulas and tolerances: packages/graph/golden/README.md.
class Postproc {
 public:
  virtual ~Postproc() = default;
  /// Reads the engine's outputs after run(); the memory of `result` is reused. Boxes stay in pixels of the model's input.
  /// @returns PREPROC_INVALID when the first output is not finite.
  virtual Status run(const Engine& engine, const PictureTransform& transform, PictureSize source, Result* result) = 0;
};

/// @param spec - {"pipeline": [...], "params": {...}} of the manifest.
/// @param outputs - of the engine; the chain reads the first one.
/// @param labelCount - labels of the model, 0 when it has none; tells the class axis of a detector's output.
/// @returns INPUT_INVALID for a chain that cannot run, SHAPE_MISMATCH when the output does not fit it or the labels.
Status compilePostproc(const rapidjson::Value& spec, const std::vector<TensorInfo>& outputs, size_t labelCount,
                       std::unique_ptr<Postproc>* postproc);

/// Appends the JSON object that `POST /v1/infer` has as "result": the keys and numbers that the TypeScript model server gives.
void appendResultJson(const Result& result, const std::vector<std::string>& labels, std::string* json);

}  // namespace selvedge

#endif
