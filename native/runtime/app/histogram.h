// Durations in little memory, so that measuring does not add to the memory that is measured.
#ifndef SELVEDGE_APP_HISTOGRAM_H
#define SELVEDGE_APP_HISTOGRAM_H

#include <cstdint>
#include <vector>

namespace selvedge {

/// Counts durations of 0 .. 17 s (longer ones as 17 s) in steps of at most 1/256 of the value.
class Histogram {
 public:
  Histogram();
  void add(double ms);
  /// @param share - 0 .. 1; 0.5 is the median. @returns milliseconds; 0 when nothing was added.
  double quantile(double share) const;

 private:
  std::vector<uint32_t> counts_;
  uint64_t total_ = 0;
};

}  // namespace selvedge

#endif
