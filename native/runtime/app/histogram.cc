#include "app/histogram.h"

#include <algorithm>
#include <cmath>

namespace selvedge {
namespace {

/// Each power of two of nanoseconds is cut into 256 steps; below 256 ns each nanosecond is one.
constexpr int kStepBits = 8;
constexpr uint64_t kSteps = 1U << kStepBits;
constexpr int kMaxBits = 34;
constexpr size_t kBuckets = (kMaxBits - kStepBits + 1) * kSteps;

size_t bucketOf(uint64_t ns) {
  int shift = 0;
  while ((ns >> shift) >= 2 * kSteps) ++shift;
  return ns < 2 * kSteps ? static_cast<size_t>(ns) : static_cast<size_t>(shift) * kSteps + static_cast<size_t>(ns >> shift);
}

double middleOf(size_t bucket) {
  if (bucket < 2 * kSteps) return static_cast<double>(bucket);
  const size_t shift = bucket / kSteps - 1;
  const auto low = static_cast<double>((bucket - shift * kSteps) << shift);
  return low + static_cast<double>(uint64_t{1} << shift) / 2;
}

}  // namespace

Histogram::Histogram() : counts_(kBuckets) {}

void Histogram::add(double ms) {
  const double largest = std::ldexp(1.0, kMaxBits) - 1;
  const double ns = std::clamp(ms * 1e6, 0.0, largest);
  counts_[std::min(bucketOf(static_cast<uint64_t>(ns)), kBuckets - 1)] += 1;
  total_ += 1;
}

double Histogram::quantile(double share) const {
  if (total_ == 0) return 0;
  // Nearest rank: the smallest value that at least this share of the values does not exceed.
  const auto rank = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(total_))));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return middleOf(bucket) / 1e6;
  }
  return middleOf(counts_.size() - 1) / 1e6;
}

}  // namespace selvedge
