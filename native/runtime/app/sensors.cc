#include "app/sensors.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace selvedge {
namespace {

constexpr int kMaxZones = 64;
constexpr int kMaxMonitors = 32;

std::optional<std::string> readText(const std::string& path) {
  FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return std::nullopt;
  char text[128];
  const size_t count = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  if (count == 0) return std::nullopt;
  return std::string(text, count);
}

std::optional<double> readNumber(const std::string& path) {
  const std::optional<std::string> text = readText(path);
  if (!text) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text->c_str(), &end);
  if (end == text->c_str()) return std::nullopt;
  return value;
}

bool isProcessorZone(const std::string& type) {
  for (const char* word : {"cpu", "x86_pkg", "soc", "CPU", "SoC", "core"}) {
    if (type.find(word) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::optional<double> Sensors::cpuTemperatureC() const {
  std::optional<double> ofProcessor;
  std::optional<double> ofAny;
  for (int zone = 0; zone < kMaxZones; ++zone) {
    const std::string folder = sys_ + "/class/thermal/thermal_zone" + std::to_string(zone);
    const std::optional<double> milli = readNumber(folder + "/temp");
    if (!milli) continue;
    const double celsius = *milli / 1000;
    // Zones without a sensor say absurd numbers.
    if (celsius < -60 || celsius > 200) continue;
    if (!ofAny || celsius > *ofAny) ofAny = celsius;
    if (isProcessorZone(readText(folder + "/type").value_or("")) && (!ofProcessor || celsius > *ofProcessor)) ofProcessor = celsius;
  }
  return ofProcessor ? ofProcessor : ofAny;
}

void Sensors::startEnergy() {
  const std::string rapl = sys_ + "/class/powercap/intel-rapl:0";
  std::optional<double> count = readNumber(rapl + "/energy_uj");
  if (count) {
    counter_ = rapl + "/energy_uj";
    countRange_ = readNumber(rapl + "/max_energy_range_uj").value_or(0);
  }
  for (int monitor = 0; monitor < kMaxMonitors && counter_.empty(); ++monitor) {
    const std::string folder = sys_ + "/class/hwmon/hwmon" + std::to_string(monitor);
    count = readNumber(folder + "/energy1_input");
    if (count) counter_ = folder + "/energy1_input";
    else if (power_.empty() && readNumber(folder + "/power1_input")) power_ = folder + "/power1_input";
  }
  countStart_ = count.value_or(0);
}

void Sensors::sampleEnergy() {
  if (!counter_.empty() || power_.empty()) return;
  if (const std::optional<double> microwatts = readNumber(power_)) {
    powerSum_ += *microwatts;
    powerSamples_ += 1;
  }
}

std::optional<double> Sensors::energyMj(double seconds) {
  if (!counter_.empty()) {
    const std::optional<double> now = readNumber(counter_);
    if (!now) return std::nullopt;
    double used = *now - countStart_;
    // The counter starts again at zero after its range.
    if (used < 0) used += countRange_;
    if (used < 0) return std::nullopt;
    return used / 1000;
  }
  sampleEnergy();
  if (powerSamples_ == 0) return std::nullopt;
  return powerSum_ / static_cast<double>(powerSamples_) * seconds / 1000;
}

int64_t peakRssBytes() {
  // getrusage() also counts what the parent held before exec, so the process's own page is asked first.
  if (FILE* file = std::fopen("/proc/self/status", "re")) {
    char line[256];
    long long kibibytes = -1;
    while (std::fgets(line, sizeof line, file) != nullptr) {
      if (std::strncmp(line, "VmHWM:", 6) == 0) kibibytes = std::strtoll(line + 6, nullptr, 10);
    }
    std::fclose(file);
    if (kibibytes > 0) return kibibytes * 1024;
  }
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace selvedge
