#include "serve/metrics.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace selvedge::serve {

namespace {

/// Upper bounds of the latency histogram, seconds, with their text.
struct Bound {
  double seconds;
  const char* text;
};
constexpr Bound kBounds[] = {{0.001, "0.001"}, {0.0025, "0.0025"}, {0.005, "0.005"}, {0.01, "0.01"}, {0.025, "0.025"}, {0.05, "0.05"}, {0.1, "0.1"},
                             {0.25, "0.25"},   {0.5, "0.5"},       {1, "1"},         {2.5, "2.5"},   {5, "5"},         {10, "10"}};

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
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

void describe(const char* name, const char* type, const char* help, std::string* text) {
  *text += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

}  // namespace

void Metrics::observe(int status, double seconds) {
  byStatus_[status] += 1;
  if (status == 429) rejected_ += 1;
  if (status >= 400) return;
  count_ += 1;
  sumSeconds_ += seconds;
  for (int index = 0; index < kBuckets; ++index)
    if (seconds <= kBounds[index].seconds) buckets_[index] += 1;
}

void Metrics::addStages(const StageTimes& times) {
  stages_.decodeMs += times.decodeMs;
  stages_.preprocMs += times.preprocMs;
  stages_.inferMs += times.inferMs;
  stages_.postprocMs += times.postprocMs;
}

std::string Metrics::text(const std::string& model, const std::string& version, size_t queueLength) const {
  const std::string labels = "model=\"" + escapeLabel(model) + "\",version=\"" + escapeLabel(version) + "\"";
  std::string text;
  const auto line = [&](const char* name, const std::string& more, const std::string& value) {
    text += std::string(name) + "{" + labels + more + "} " + value + "\n";
  };
  const auto single = [&](const char* name, const char* type, const char* help, const std::string& value) {
    describe(name, type, help, &text);
    line(name, "", value);
  };
  describe("selvedge_model_requests_total", "counter", "Inference requests by HTTP status.", &text);
  for (const auto& [status, count] : byStatus_)
    line("selvedge_model_requests_total", ",status=\"" + std::to_string(status) + "\"", std::to_string(count));
  describe("selvedge_model_latency_seconds", "histogram", "Time from the whole request to its result, successful requests.", &text);
  for (int index = 0; index < kBuckets; ++index)
    line("selvedge_model_latency_seconds_bucket", std::string(",le=\"") + kBounds[index].text + "\"", std::to_string(buckets_[index]));
  line("selvedge_model_latency_seconds_bucket", ",le=\"+Inf\"", std::to_string(count_));
  line("selvedge_model_latency_seconds_sum", "", number(sumSeconds_));
  line("selvedge_model_latency_seconds_count", "", std::to_string(count_));
  describe("selvedge_model_stage_seconds_total", "counter", "Time spent in each stage of inference.", &text);
  line("selvedge_model_stage_seconds_total", ",stage=\"decode\"", number(stages_.decodeMs / 1000));
  line("selvedge_model_stage_seconds_total", ",stage=\"preproc\"", number(stages_.preprocMs / 1000));
  line("selvedge_model_stage_seconds_total", ",stage=\"infer\"", number(stages_.inferMs / 1000));
  line("selvedge_model_stage_seconds_total", ",stage=\"postproc\"", number(stages_.postprocMs / 1000));
  single("selvedge_model_queue_length", "gauge", "Requests that wait for the model or are being computed.", std::to_string(queueLength));
  single("selvedge_model_rejected_total", "counter", "Requests answered 429 because too many waited.", std::to_string(rejected_));
  describe("selvedge_model_reloads_total", "counter", "Loads of the model file while serving, by outcome.", &text);
  line("selvedge_model_reloads_total", ",outcome=\"ok\"", std::to_string(reloads_));
  line("selvedge_model_reloads_total", ",outcome=\"failed\"", std::to_string(failedReloads_));
  single("selvedge_model_resident_memory_bytes", "gauge", "Resident memory of the model server.", std::to_string(residentBytes()));
  return text;
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
