#include <chrono>
#include <cstdio>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "app/cold_start.h"
#include "app/commands.h"
#include "app/histogram.h"
#include "app/report.h"
#include "app/sensors.h"
#include "app/stop_signal.h"
#include "app/test_picture.h"
#include "base/exit_code.h"
#include "input/source.h"

namespace selvedge {
namespace {

constexpr size_t kMaxPictures = 64;
constexpr size_t kMaxPictureMemory = 256 * 1024 * 1024;
/// Warm-up: at least so many pictures and so long.
constexpr int kWarmUpPictures = 3;
constexpr double kWarmUpMs = 200;
constexpr double kSensorEveryMs = 500;

using Clock = std::chrono::steady_clock;
using Pictures = std::vector<std::vector<uint8_t>>;

double msSince(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

/// All that is measured, as nativeBenchSchema of the contract has it.
struct Measured {
  uint64_t images = 0;
  int threads = 1;
  double seconds = 0;
  double coldStartMs = 0;
  int64_t rssBytes = 0;
  std::optional<double> cpuTemperatureC, energyMj;
  Histogram latency, decode, preproc, infer, postproc;
};

Status collect(const std::string& input, int stopFd, Pictures* pictures, size_t* bytes) {
  std::unique_ptr<Source> source;
  if (Status status = openSource(input, {false, stopFd}, &source); !status.isOk()) return status;
  Frame frame;
  while (pictures->size() < kMaxPictures && *bytes < kMaxPictureMemory) {
    Status status;
    const Next next = source->next(&frame, &status);
    if (next == Next::end) break;
    if (next != Next::frame) return status;
    if (frame.decoded) return Status::error("USAGE", "--bench measures encoded pictures; " + input + " gives raw frames.");
    *bytes += frame.encoded.size();
    pictures->push_back(frame.encoded);
  }
  return Status::ok();
}

Status collectAll(const Arguments& arguments, int stopFd, Pictures* pictures) {
  size_t bytes = 0;
  for (const std::string& input : arguments.inputs) {
    if (Status status = collect(input, stopFd, pictures, &bytes); !status.isOk()) return status;
  }
  if (!arguments.inputs.empty()) return pictures->empty() ? Status::error("INPUT_INVALID", "The inputs have no pictures.") : Status::ok();
  pictures->emplace_back();
  return encodeJpeg(makeTestPicture(640, 480), 90, &pictures->back());
}

/// From loading the model to the first result, for where the executable cannot start itself.
Status openAndInfer(const Arguments& arguments, const std::string& folder, const std::vector<uint8_t>& picture,
                    std::unique_ptr<Pipeline>* pipeline, double* ms) {
  const Clock::time_point start = Clock::now();
  if (Status status = openPipeline(pipelineOptions(arguments, folder), pipeline); !status.isOk()) return status;
  Result result;
  StageTimes times;
  Status status = (*pipeline)->inferEncoded({picture.data(), picture.size()}, &result, &times);
  *ms = msSince(start);
  return status;
}

class Loop {
 public:
  Loop(Pipeline* pipeline, const Pictures& pictures, int stopFd) : pipeline_(pipeline), pictures_(pictures), stopFd_(stopFd) {}

  Status warmUp() {
    const Clock::time_point start = Clock::now();
    for (int count = 0; count < kWarmUpPictures || msSince(start) < kWarmUpMs; ++count) {
      if (Status status = one(); !status.isOk()) return status;
    }
    return Status::ok();
  }

  Status measure(int seconds, Measured* measured) {
    Sensors sensors;
    sensors.startEnergy();
    const Clock::time_point start = Clock::now();
    double passedMs = 0;
    double sampledMs = 0;
    while (passedMs < seconds * 1000.0 || measured->images == 0) {
      const Clock::time_point since = Clock::now();
      if (Status status = one(); !status.isOk()) return status;
      measured->latency.add(msSince(since));
      measured->decode.add(times_.decodeMs);
      measured->preproc.add(times_.preprocMs);
      measured->infer.add(times_.inferMs);
      measured->postproc.add(times_.postprocMs);
      measured->images += 1;
      passedMs = msSince(start);
      if (passedMs - sampledMs < kSensorEveryMs) continue;
      sampledMs = passedMs;
      sensors.sampleEnergy();
      if (isStopped(stopFd_)) return Status::error("INTERRUPTED", "Stopped while measuring.");
    }
    measured->seconds = passedMs / 1000;
    const std::optional<double> energy = sensors.energyMj(measured->seconds);
    if (energy) measured->energyMj = *energy / static_cast<double>(measured->images);
    measured->cpuTemperatureC = sensors.cpuTemperatureC();
    return Status::ok();
  }

 private:
  Status one() {
    const std::vector<uint8_t>& picture = pictures_[at_];
    at_ = (at_ + 1) % pictures_.size();
    return pipeline_->inferEncoded({picture.data(), picture.size()}, &result_, &times_);
  }

  Pipeline* pipeline_;
  const Pictures& pictures_;
  int stopFd_;
  size_t at_ = 0;
  Result result_;
  StageTimes times_;
};

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void writeNumber(Writer* writer, const char* key, std::optional<double> value) {
  writer->Key(key);
  if (value) writer->Double(*value);
  else writer->Null();
}

std::string benchJson(const Measured& measured) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.SetMaxDecimalPlaces(6);
  writer.StartObject();
  writer.Key("images");
  writer.Uint64(measured.images);
  writer.Key("threads");
  writer.Int(measured.threads);
  writeNumber(&writer, "imagesPerS", static_cast<double>(measured.images) / measured.seconds);
  writer.Key("latencyMs");
  writer.StartObject();
  writeNumber(&writer, "p50", measured.latency.quantile(0.5));
  writeNumber(&writer, "p90", measured.latency.quantile(0.9));
  writeNumber(&writer, "p95", measured.latency.quantile(0.95));
  writeNumber(&writer, "p99", measured.latency.quantile(0.99));
  writer.EndObject();
  writer.Key("stagesMs");
  writer.StartObject();
  writeNumber(&writer, "decode", measured.decode.quantile(0.5));
  writeNumber(&writer, "preproc", measured.preproc.quantile(0.5));
  writeNumber(&writer, "infer", measured.infer.quantile(0.5));
  writeNumber(&writer, "postproc", measured.postproc.quantile(0.5));
  writer.EndObject();
  writeNumber(&writer, "coldStartMs", measured.coldStartMs);
  writer.Key("rssBytes");
  writer.Int64(measured.rssBytes);
  writeNumber(&writer, "cpuTemperatureC", measured.cpuTemperatureC);
  writeNumber(&writer, "energyMj", measured.energyMj);
  writer.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

void printTable(const Measured& measured) {
  std::printf("images       %llu in %.1f s, %d thread%s\n", static_cast<unsigned long long>(measured.images), measured.seconds,
              measured.threads, measured.threads == 1 ? "" : "s");
  std::printf("images/s     %.1f\n", static_cast<double>(measured.images) / measured.seconds);
  std::printf("latency ms   p50 %.3f  p90 %.3f  p95 %.3f  p99 %.3f\n", measured.latency.quantile(0.5), measured.latency.quantile(0.9),
              measured.latency.quantile(0.95), measured.latency.quantile(0.99));
  std::printf("stages ms    decode %.3f  before %.3f  infer %.3f  after %.3f (medians)\n", measured.decode.quantile(0.5),
              measured.preproc.quantile(0.5), measured.infer.quantile(0.5), measured.postproc.quantile(0.5));
  std::printf("cold start   %.1f ms\n", measured.coldStartMs);
  std::printf("memory       %.1f MB\n", static_cast<double>(measured.rssBytes) / 1e6);
  if (measured.cpuTemperatureC) std::printf("temperature  %.1f C\n", *measured.cpuTemperatureC);
  if (measured.energyMj) std::printf("energy       %.3f mJ per image\n", *measured.energyMj);
}

}  // namespace

int runBench(const Arguments& arguments, const std::string& folder) {
  const int stopFd = openStopSignal();
  Pictures pictures;
  if (Status status = collectAll(arguments, stopFd, &pictures); !status.isOk()) return report(status);
  Measured measured;
  measured.threads = arguments.threads;
  const std::optional<double> coldStartMs = measureColdStart(arguments, folder, pictures[0]);
  std::unique_ptr<Pipeline> pipeline;
  if (Status status = openAndInfer(arguments, folder, pictures[0], &pipeline, &measured.coldStartMs); !status.isOk()) return report(status);
  if (coldStartMs) measured.coldStartMs = *coldStartMs;
  Loop loop(pipeline.get(), pictures, stopFd);
  if (Status status = loop.warmUp(); !status.isOk()) return report(status);
  if (Status status = loop.measure(arguments.seconds, &measured); !status.isOk()) return report(status);
  measured.rssBytes = peakRssBytes();
  if (arguments.json) std::printf("%s\n", benchJson(measured).c_str());
  else printTable(measured);
  return kExitOk;
}

}  // namespace selvedge
