// What every peer in C++ does on command: computes for some time, and says how much of the processor one turn took.
#ifndef SELVEDGE_BENCH_PEER_LOOP_H
#define SELVEDGE_BENCH_PEER_LOOP_H

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace bench {

/// Processor time of this process, all threads, in ms.
inline double cpuMs() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

inline double medianOf(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// The lower quartile: what preempts this process makes the others larger, on both sides of a comparison by wall clock.
inline double quartileOf(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 4), values.end());
  return values[values.size() / 4];
}

/// A sample is at least so long: reading the clock takes a part of a microsecond.
constexpr double kSampleMs = 0.5;

/// Turns until `budgetMs` of processor time are used. Prints {"turns", "medianMs", "leastMs"}, per turn.
template <typename Turn>
void measure(double budgetMs, Turn&& turn) {
  turn();
  const double one = cpuMs();
  turn();
  const int batch = std::max(1, static_cast<int>(kSampleMs / std::max(cpuMs() - one, 1e-6)));
  std::vector<double> samples;
  const double start = cpuMs();
  for (double since = start; since - start < budgetMs || samples.size() < 3;) {
    for (int index = 0; index < batch; ++index) turn();
    const double now = cpuMs();
    samples.push_back((now - since) / batch);
    since = now;
  }
  const double least = *std::min_element(samples.begin(), samples.end());
  std::printf("{\"turns\":%zu,\"medianMs\":%.6f,\"leastMs\":%.6f}\n", samples.size() * static_cast<size_t>(batch), medianOf(samples), least);
  std::fflush(stdout);
}

/// `count N`: N turns, and the end, for whoever counts instructions. Otherwise each line of stdin is a budget in ms.
template <typename Turn>
int serve(const std::string& count, Turn&& turn) {
  if (!count.empty()) {
    for (int left = std::atoi(count.c_str()); left > 0; --left) turn();
    return 0;
  }
  turn();
  std::puts("ready");
  std::fflush(stdout);
  char line[64];
  while (std::fgets(line, sizeof line, stdin) != nullptr) measure(std::atof(line), turn);
  return 0;
}

inline bool readFile(const char* path, std::vector<unsigned char>* bytes) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return false;
  std::fseek(file, 0, SEEK_END);
  const long size = std::ftell(file);
  std::rewind(file);
  bytes->resize(size > 0 ? static_cast<size_t>(size) : 0);
  const bool whole = std::fread(bytes->data(), 1, bytes->size(), file) == bytes->size();
  std::fclose(file);
  return whole;
}

inline bool writeFile(const char* path, const void* data, size_t bytes) {
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr) return false;
  const bool whole = std::fwrite(data, 1, bytes, file) == bytes;
  return std::fclose(file) == 0 && whole;
}

}  // namespace bench

#endif
