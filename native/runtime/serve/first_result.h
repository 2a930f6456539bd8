// What is counted of a result: the class that came first, and how sure the model was of it.
#ifndef SELVEDGE_SERVE_FIRST_RESULT_H
#define SELVEDGE_SERVE_FIRST_RESULT_H

#include <string>
#include <vector>

#include "ops/postproc.h"

namespace selvedge::serve {

struct FirstResult {
  bool hasLabel = false, hasConfidence = false;
  std::string label;
  /// 0 .. 1.
  double confidence = 0;
};

/// The first label or the best box, as confidenceOf and classOf of the agent's compare-results.ts say it.
FirstResult firstOf(const Result& result, const std::vector<std::string>& labels);

}  // namespace selvedge::serve

#endif
