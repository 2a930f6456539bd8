// Counts of one server, shown in the Prometheus text format; the names are those of the TypeScript model server and more.
#ifndef SELVEDGE_SERVE_METRICS_H
#define SELVEDGE_SERVE_METRICS_H

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>

#include "pipeline/pipeline.h"
#include "serve/counted_bounds.h"
#include "serve/first_result.h"

namespace selvedge::serve {

/// For the loop's thread only.
class Metrics {
 public:
  /// One answered inference request.
  void observe(int status, double seconds);
  /// What a picture gave.
  void addResult(const FirstResult& first);
  void addStages(const StageTimes& times);
  void addReload(bool succeeded) { (succeeded ? reloads_ : failedReloads_) += 1; }
  std::string text(const std::string& model, const std::string& version, size_t queueLength) const;

 private:
  std::map<int, uint64_t> byStatus_;
  /// Counts up to each bound and above the one before; the last: above all.
  uint64_t latencies_[std::size(kLatencyBounds) + 1] = {};
  uint64_t confidences_[kConfidenceBins] = {};
  double confidenceSum_ = 0;
  std::map<std::string, uint64_t> byClass_;
  uint64_t count_ = 0, rejected_ = 0, reloads_ = 0, failedReloads_ = 0;
  double sumSeconds_ = 0;
  StageTimes stages_;
};

/// Resident memory of this process in bytes; 0 when /proc is not there.
int64_t residentBytes();

}  // namespace selvedge::serve

#endif
