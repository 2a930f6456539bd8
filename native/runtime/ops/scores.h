// Class scores: activations and ranking. Formulas: packages/graph/golden/README.md and the ops that it names.
#ifndef SELVEDGE_OPS_SCORES_H
#define SELVEDGE_OPS_SCORES_H

#include <cstddef>
#include <vector>

#include "ops/postproc.h"

namespace selvedge {

enum class Activation { softmax, sigmoid };

/// In place on `count` values that lie `stride` apart.
void activate(Activation activation, float* values, size_t count, size_t stride);

/// The k best of `scores`, best first; of equal scores the lower index comes first. The memory of `best` is reused.
void topk(const std::vector<float>& scores, size_t k, std::vector<ScoredClass>* best);

}  // namespace selvedge

#endif
