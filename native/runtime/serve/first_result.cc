#include "serve/first_result.h"

#include <algorithm>
#include <cmath>

namespace selvedge::serve {

FirstResult firstOf(const Result& result, const std::vector<std::string>& labels) {
  int index = -1;
  float score = 0;
  if (result.hasClasses && !result.classes.empty()) {
    index = result.classes.front().index;
    score = result.classes.front().score;
  } else if (result.hasBoxes && !result.boxes.empty()) {
    // A step of the user may have given them another order.
    const auto best = std::max_element(result.boxes.begin(), result.boxes.end(), [](const Box& a, const Box& b) { return a.score < b.score; });
    index = best->index;
    score = best->score;
  }
  FirstResult first;
  if (index < 0) return first;
  first.hasLabel = true;
  first.label = classLabel(index, labels);
  first.hasConfidence = std::isfinite(score);
  if (first.hasConfidence) first.confidence = std::clamp(static_cast<double>(score), 0.0, 1.0);
  return first;
}

}  // namespace selvedge::serve
