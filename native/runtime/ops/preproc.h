// Picture to tensor: the pre-processing chain of a pipeline, fused into one pass over the output.
#ifndef SELVEDGE_OPS_PREPROC_H
#define SELVEDGE_OPS_PREPROC_H

#include <memory>
#include <string>

#include <rapidjson/document.h>

#include "base/status.h"
#include "engine/engine.h"
#include "image/image.h"

namespace selvedge {

/// Where the picture lies in the tensor, to map boxes back: source = (tensor - offset) / scale, per axis.
struct PictureTransform {
  float scaleX = 1, scaleY = 1;
  float offsetX = 0, offsetY = 0;
};

/// A chain compiled for one input tensor. Formulas and tolerances: packages/graph/golden/README.md.
class Preproc {
 public:
  virtual ~Preproc() = default;
  /// Smallest decoded size that loses nothing (0, 0 when the full picture is needed): see DecodeOptions. That of the resize
  /// or letterbox that the chain begins with.
  virtual void smallestUsefulSize(int* width, int* height) const = 0;
  /// @param destination - `elements()` float32 values of the input tensor, in its memory order.
  /// @param transform - relative to the picture before a scaled decode (`sourceWidth`, `sourceHeight`).
  /// @returns INPUT_INVALID when the picture's bytes do not fit its size; SHAPE_MISMATCH when the chain has no op that fixes
  /// the size and the picture is not as large as the tensor.
  virtual Status run(const Image& image, float* destination, PictureTransform* transform) = 0;
};

/// @param spec - {"pipeline": [...], "params": {...}} of the manifest.
/// @returns INPUT_INVALID when the chain cannot fill such a tensor, with why.
Status compilePreproc(const rapidjson::Value& spec, const TensorInfo& input, std::unique_ptr<Preproc>* preproc);

}  // namespace selvedge

#endif
