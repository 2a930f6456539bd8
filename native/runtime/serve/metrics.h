// Counts of one server, shown in the Prometheus text format; the names are those of the TypeScript model server and more.
#ifndef SELVEDGE_SERVE_METRICS_H
#define SELVEDGE_SERVE_METRICS_H

#include <cstdint>
#include <map>
#include <string>

#include "pipeline/pipeline.h"

namespace selvedge::serve {

/// For the loop's thread only.
class Metrics {
 public:
  /// One answered inference request.
  void observe(int status, double seconds);
  void addStages(const StageTimes& times);
  void addReload(bool succeeded) { (succeeded ? reloads_ : failedReloads_) += 1; }
  std::string text(const std::string& model, const std::string& version, size_t queueLength) const;

 private:
  static constexpr int kBuckets = 13;
  std::map<int, uint64_t> byStatus_;
  uint64_t buckets_[kBuckets] = {};
  uint64_t count_ = 0, rejected_ = 0, reloads_ = 0, failedReloads_ = 0;
  double sumSeconds_ = 0;
  StageTimes stages_;
};

/// Resident memory of this process in bytes; 0 when /proc is not there.
int64_t residentBytes();

}  // namespace selvedge::serve

#endif
