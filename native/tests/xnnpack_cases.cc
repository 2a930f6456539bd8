// Runs many generated models in one process: for each case FOLDER/<i>.weights and FOLDER/<i>.in (the inputs one after another, as
// the engine wants them) give FOLDER/<i>.out (the outputs likewise). Prints one line for each case that fails.
//   xnnpack_cases FOLDER [THREADS [FIRST]]      every case from FIRST on
//   xnnpack_cases FOLDER --measure CASE ROUNDS  load time, median time of an inference and memory of one case, as JSON
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/xnnpack/model.h"

namespace selvedge::xnnpack {

/// Defined by the test together with the models.
extern const ModelSpec* const kCases[];
extern const size_t kCaseCount;

}  // namespace selvedge::xnnpack

namespace {

using selvedge::Engine;
using selvedge::Status;

double nowMs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

bool readInputs(Engine* engine, const std::string& path) {
  FILE* file = fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  bool whole = true;
  for (size_t i = 0; i < engine->inputs().size(); i++) {
    const size_t count = engine->inputs()[i].elements();
    whole = whole && fread(engine->inputData(i), sizeof(float), count, file) == count;
  }
  fclose(file);
  return whole;
}

bool writeOutputs(const Engine& engine, const std::string& path) {
  FILE* file = fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  bool whole = true;
  for (size_t i = 0; i < engine.outputs().size(); i++) {
    const size_t count = engine.outputs()[i].elements();
    whole = whole && fwrite(engine.outputData(i), sizeof(float), count, file) == count;
  }
  return fclose(file) == 0 && whole;
}

Status runCase(const std::string& base, const selvedge::xnnpack::ModelSpec& model, int threads) {
  std::unique_ptr<Engine> engine;
  Status status = selvedge::xnnpack::openModel(model, {base + ".weights", threads}, &engine);
  if (!status.isOk()) return status;
  if (!readInputs(engine.get(), base + ".in")) return Status::error("FILE_UNREADABLE", "no inputs");
  status = engine->run();
  if (!status.isOk()) return status;
  return writeOutputs(*engine, base + ".out") ? Status::ok() : Status::error("FILE_UNREADABLE", "outputs not written");
}

/// A line of /proc/self/status; -1 where there is none.
long memoryKib(const char* name) {
  FILE* file = fopen("/proc/self/status", "r");
  if (file == nullptr) return -1;
  char line[128];
  long kib = -1;
  while (fgets(line, sizeof(line), file) != nullptr) {
    if (strncmp(line, name, strlen(name)) == 0) kib = strtol(line + strlen(name), nullptr, 10);
  }
  fclose(file);
  return kib;
}

/// Load time, median time of an inference, memory.
int measure(const std::string& base, const selvedge::xnnpack::ModelSpec& model, int rounds) {
  const double start = nowMs();
  std::unique_ptr<Engine> engine;
  Status status = selvedge::xnnpack::openModel(model, {base + ".weights", 1}, &engine);
  const double loaded = nowMs();
  if (!status.isOk() || !readInputs(engine.get(), base + ".in")) return 1;
  if (!engine->run().isOk()) return 1;
  std::vector<double> times;
  for (int i = 0; i < rounds; i++) {
    const double before = nowMs();
    if (!engine->run().isOk()) return 1;
    times.push_back(nowMs() - before);
  }
  qsort(times.data(), times.size(), sizeof(double), [](const void* a, const void* b) {
    const double left = *static_cast<const double*>(a);
    const double right = *static_cast<const double*>(b);
    return left < right ? -1 : (left > right ? 1 : 0);
  });
  printf("{\"loadMs\": %.3f, \"p50Ms\": %.4f, \"peakKib\": %ld, \"rssKib\": %ld, \"engine\": \"%s\"}\n", loaded - start,
         times[times.size() / 2], memoryKib("VmHWM:"), memoryKib("VmRSS:"), engine->description().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::string folder = argv[1];
  if (argc == 5 && strcmp(argv[2], "--measure") == 0) {
    const size_t index = strtoul(argv[3], nullptr, 10);
    if (index >= selvedge::xnnpack::kCaseCount) return 2;
    return measure(folder + "/" + argv[3], *selvedge::xnnpack::kCases[index], atoi(argv[4]));
  }
  const int threads = argc > 2 ? atoi(argv[2]) : 1;
  for (size_t i = argc > 3 ? strtoul(argv[3], nullptr, 10) : 0; i < selvedge::xnnpack::kCaseCount; i++) {
    const Status status = runCase(folder + "/" + std::to_string(i), *selvedge::xnnpack::kCases[i], threads);
    if (!status.isOk()) printf("%zu: %s: %s\n", i, status.code(), status.message().c_str());
  }
  return 0;
}
