// Steps as a user writes them: red and blue are swapped before the model, and what it found is counted after.
#include "selvedge_step.h"

#include <algorithm>

SELVEDGE_PRE_STEP(swapRedAndBlue)(selvedge::Picture& picture) {
  for (size_t at = 0; at + 2 < picture.rgb.size(); at += 3) std::swap(picture.rgb[at], picture.rgb[at + 2]);
}

SELVEDGE_POST_STEP(count)(selvedge::ResultView& result) {
  if (!result.classes.empty()) result.classes.resize(1);
  result.extra = "{\"classes\":" + std::to_string(result.classes.size()) + ",\"labels\":" + std::to_string(result.labels.size()) + "}";
}
