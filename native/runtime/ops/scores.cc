#include "ops/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace selvedge {

namespace {

/// e_i = float32(exp(float32(x_i - max))), out_i = float32(e_i / sum), exp, sum and quotient in float64.
void softmax(float* values, size_t count, size_t stride) {
  float max = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < count; i++) max = std::max(max, values[i * stride]);
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    float& value = values[i * stride];
    value = static_cast<float>(std::exp(static_cast<double>(value - max)));
    sum += static_cast<double>(value);
  }
  for (size_t i = 0; i < count; i++) values[i * stride] = static_cast<float>(static_cast<double>(values[i * stride]) / sum);
}

/// Without overflow, in float64, rounded once.
float sigmoid(float x) {
  if (x >= 0) return static_cast<float>(1 / (1 + std::exp(-static_cast<double>(x))));
  const double e = std::exp(static_cast<double>(x));
  return static_cast<float>(e / (1 + e));
}

}  // namespace

void activate(Activation activation, float* values, size_t count, size_t stride) {
  if (activation == Activation::softmax) return softmax(values, count, stride);
  for (size_t i = 0; i < count; i++) values[i * stride] = sigmoid(values[i * stride]);
}

void topk(const std::vector<float>& scores, size_t k, std::vector<ScoredClass>* best) {
  best->clear();
  for (size_t i = 0; i < scores.size(); i++) best->push_back({static_cast<int>(i), scores[i]});
  const size_t count = std::min(k, best->size());
  std::partial_sort(best->begin(), best->begin() + static_cast<std::ptrdiff_t>(count), best->end(),
                    [](const ScoredClass& a, const ScoredClass& b) { return a.score != b.score ? a.score > b.score : a.index < b.index; });
  best->resize(count);
}

}  // namespace selvedge
