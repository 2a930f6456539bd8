// The pre-processing chain as plain values, read from the manifest and checked.
#ifndef SELVEDGE_OPS_CHAIN_SPEC_H
#define SELVEDGE_OPS_CHAIN_SPEC_H

#include <vector>

#include <rapidjson/document.h>

#include "base/status.h"
#include "ops/axis.h"

namespace selvedge {

enum class PreprocOp { resize, letterbox, centercrop, grayscale, hwctochw, scale, normalize };

constexpr int kMaxChannels = 4;

/// One op with its parameters, constants rounded to float32.
struct ChainStep {
  PreprocOp op = PreprocOp::resize;
  Size size;                 ///< resize, letterbox, centercrop
  float fill = 0;            ///< letterbox
  float factor = 1, lo = 0;  ///< scale
  int values = 1;            ///< normalize: 1, or one per channel
  float mean[kMaxChannels] = {}, std[kMaxChannels] = {};
};

/// What goes into a chain, and comes out of it.
struct PictureForm {
  Size size;  ///< 0, 0: not known
  int channels = 3;
  bool channelsFirst = false;
};

/// @param spec - {"pipeline": [...], "params": {...}}.
/// @returns INPUT_INVALID, with the op that is wrong.
Status parseChain(const rapidjson::Value& spec, std::vector<ChainStep>* steps);

/// What the chain makes of `form`; checks order and channel counts.
/// @returns INPUT_INVALID when an op cannot run there.
Status chainOutput(const std::vector<ChainStep>& steps, PictureForm form, PictureForm* out);

}  // namespace selvedge

#endif
