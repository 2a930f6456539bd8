// Results as JSON lines: one object per picture, in the style of `POST /v1/infer`, each line flushed.
#ifndef SELVEDGE_OUTPUT_JSON_LINES_H
#define SELVEDGE_OUTPUT_JSON_LINES_H

#include <cstdint>
#include <string>

#include "base/status.h"
#include "pipeline/pipeline.h"

namespace selvedge {

class JsonLines {
 public:
  explicit JsonLines(const PackageInfo& info) : info_(info) {}
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;
  /// @param target - "-" for stdout, else a file that is appended to.
  Status open(const std::string& target);
  /// {"input","index","model","version","latencyMs","result"}.
  /// @returns DISK_FULL; FILE_UNREADABLE when it cannot be written for another reason.
  Status result(const std::string& input, uint64_t index, double latencyMs, const std::string& resultJson);
  /// {"input","index","model","version","error":{"code","message"}}.
  Status fault(const std::string& input, uint64_t index, const Status& error);

 private:
  Status write();

  const PackageInfo& info_;
  std::string target_;
  int file_ = -1;
  std::string line_;
};

}  // namespace selvedge

#endif
