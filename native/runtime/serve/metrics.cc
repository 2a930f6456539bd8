#include "serve/metrics.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace selvedge::serve {

namespace {

std::string escapeLabel(const std::string& text) {
  std::string escaped;
  for (char letter : text) {
    if (letter == '\n') {
      escaped += "\\n";
      continue;
    }
    if (letter == '\\' || letter == '"') escaped += '\\';
    escaped += letter;
  }
  return escaped;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

/// The text format, line by line; every line has the same labels first.
class Page {
 public:
  explicit Page(std::string labels) : labels_(std::move(labels)) {}
  std::string take() { return std::move(text_); }

  void describe(const std::string& name, const char* type, const char* help) {
    text_ += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  }
  void line(const std::string& name, const std::string& more, const std::string& value) {
    text_ += name + "{" + labels_ + more + "} " + value + "\n";
  }
  void single(const char* name, const char* type, const char* help, const std::string& value) {
    describe(name, type, help);
    line(name, "", value);
  }
  /// @param counts - of each bin, one for each text; `all` counts those above the last bound too.
  template <size_t kBins>
  void histogram(const std::string& name, const char* help, const char* const (&bounds)[kBins], const uint64_t* counts, uint64_t all, double sum) {
    describe(name, "histogram", help);
    uint64_t below = 0;
    for (size_t bin = 0; bin < kBins; ++bin) {
      below += counts[bin];
      line(name + "_bucket", std::string(",le=\"") + bounds[bin] + "\"", std::to_string(below));
    }
    line(name + "_bucket", ",le=\"+Inf\"", std::to_string(all));
    line(name + "_sum", "", number(sum));
    line(name + "_count", "", std::to_string(all));
  }

 private:
  std::string labels_, text_;
};

}  // namespace

void Metrics::observe(int status, double seconds) {
  byStatus_[status] += 1;
  if (status == 429) rejected_ += 1;
  if (status >= 400) return;
  count_ += 1;
  sumSeconds_ += seconds;
  latencies_[std::lower_bound(std::begin(kLatencyBounds), std::end(kLatencyBounds), seconds) - std::begin(kLatencyBounds)] += 1;
}

void Metrics::addResult(const FirstResult& first) {
  if (first.hasConfidence) {
    const auto bin = static_cast<size_t>(first.confidence * static_cast<double>(kConfidenceBins));
    confidences_[std::min(bin, kConfidenceBins - 1)] += 1;
    confidenceSum_ += first.confidence;
  }
  if (first.hasLabel && (byClass_.size() < kMaxCountedClasses || byClass_.count(first.label) > 0)) byClass_[first.label] += 1;
}

void Metrics::addStages(const StageTimes& times) {
  stages_.decodeMs += times.decodeMs;
  stages_.preprocMs += times.preprocMs;
  stages_.inferMs += times.inferMs;
  stages_.postprocMs += times.postprocMs;
}

std::string Metrics::text(const std::string& model, const std::string& version, size_t queueLength) const {
  Page page("model=\"" + escapeLabel(model) + "\",version=\"" + escapeLabel(version) + "\"");
  page.describe("selvedge_model_requests_total", "counter", "Inference requests by HTTP status.");
  for (const auto& [status, count] : byStatus_)
    page.line("selvedge_model_requests_total", ",status=\"" + std::to_string(status) + "\"", std::to_string(count));
  page.histogram("selvedge_model_latency_seconds", "Time from the whole request to its result, successful requests.", kLatencyTexts, latencies_, count_,
                 sumSeconds_);
  uint64_t known = 0;
  for (uint64_t count : confidences_) known += count;
  page.histogram("selvedge_model_confidence", "Score of the first label or of the best box, results that have one.", kConfidenceTexts, confidences_, known,
                 confidenceSum_);
  if (!byClass_.empty()) page.describe("selvedge_model_results_total", "counter", "Results by the first label or the label of the best box.");
  for (const auto& [label, count] : byClass_)
    page.line("selvedge_model_results_total", ",class=\"" + escapeLabel(label) + "\"", std::to_string(count));
  page.describe("selvedge_model_stage_seconds_total", "counter", "Time spent in each stage of inference.");
  page.line("selvedge_model_stage_seconds_total", ",stage=\"decode\"", number(stages_.decodeMs / 1000));
  page.line("selvedge_model_stage_seconds_total", ",stage=\"preproc\"", number(stages_.preprocMs / 1000));
  page.line("selvedge_model_stage_seconds_total", ",stage=\"infer\"", number(stages_.inferMs / 1000));
  page.line("selvedge_model_stage_seconds_total", ",stage=\"postproc\"", number(stages_.postprocMs / 1000));
  page.single("selvedge_model_queue_length", "gauge", "Requests that wait for the model or are being computed.", std::to_string(queueLength));
  page.single("selvedge_model_rejected_total", "counter", "Requests answered 429 because too many waited.", std::to_string(rejected_));
  page.describe("selvedge_model_reloads_total", "counter", "Loads of the model file while serving, by outcome.");
  page.line("selvedge_model_reloads_total", ",outcome=\"ok\"", std::to_string(reloads_));
  page.line("selvedge_model_reloads_total", ",outcome=\"failed\"", std::to_string(failedReloads_));
  page.single("selvedge_model_resident_memory_bytes", "gauge", "Resident memory of the model server.", std::to_string(residentBytes()));
  return page.take();
}

int64_t residentBytes() {
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[128];
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  char* second = nullptr;
  std::strtoll(text, &second, 10);
  return std::strtoll(second, nullptr, 10) * sysconf(_SC_PAGESIZE);
}

}  // namespace selvedge::serve
