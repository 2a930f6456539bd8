// What the machine tells about itself: temperature, energy, memory. All may be missing.
#ifndef SELVEDGE_APP_SENSORS_H
#define SELVEDGE_APP_SENSORS_H

#include <cstdint>
#include <optional>
#include <string>

namespace selvedge {

class Sensors {
 public:
  /// @param sysFolder - where sysfs is; "/sys" but in tests.
  explicit Sensors(std::string sysFolder = "/sys") : sys_(std::move(sysFolder)) {}
  /// The warmest thermal zone of the processor (of any kind when none says so), degrees Celsius.
  std::optional<double> cpuTemperatureC() const;
  /// Starts to count energy: RAPL's package domain, else a sensor that counts energy, else one that tells power.
  void startEnergy();
  /// Takes a reading of a power sensor into account; call now and then while measuring.
  void sampleEnergy();
  /// Joules times 1000 since startEnergy(). @param seconds - that have passed, for a power sensor.
  std::optional<double> energyMj(double seconds);

 private:
  /// A file with a count of microjoules, or with microwatts.
  std::string counter_, power_;
  double countStart_ = 0, countRange_ = 0;
  double powerSum_ = 0;
  uint64_t powerSamples_ = 0;
  std::string sys_;
};

/// Largest resident set of this process, bytes.
int64_t peakRssBytes();

}  // namespace selvedge

#endif
