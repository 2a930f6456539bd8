// The runtime of a package with another main: PEER MODE FOLDER INPUT [COUNT|OUTPUT]
//   pipeline  INPUT is a picture: file to result, as `run --input` does
//   infer     INPUT holds the float32 values of the tensor in the order of the ONNX shape: the engine alone
//   output    as infer, once; the first output goes to the file OUTPUT, in the order of the ONNX shape
//   overhead  INPUT is a picture: stage "infer" of the pipeline and the bare engine in turn; a line of stdin is a budget in ms
#include <chrono>
#include <cstring>

#include "peer_loop.h"
#include "pipeline/pipeline.h"

namespace {

using selvedge::Engine;
using selvedge::MemoryOrder;
using selvedge::Status;
using selvedge::TensorInfo;

int fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  return 1;
}

/// Index in memory of the value that stands at `index` of the ONNX shape.
size_t placeOf(const TensorInfo& info, size_t index) {
  if (info.order == MemoryOrder::asShape) return index;
  const size_t channels = static_cast<size_t>(info.shape[1]);
  const size_t pixels = static_cast<size_t>(info.shape[2] * info.shape[3]);
  const size_t channel = index / pixels % channels;
  return index / (pixels * channels) * (pixels * channels) + index % pixels * channels + channel;
}

bool fill(const char* path, Engine* engine) {
  std::vector<unsigned char> bytes;
  const TensorInfo& info = engine->inputs()[0];
  if (!bench::readFile(path, &bytes) || bytes.size() != info.elements() * sizeof(float)) return false;
  std::vector<float> values(info.elements());
  std::memcpy(values.data(), bytes.data(), bytes.size());
  float* data = static_cast<float*>(engine->inputData(0));
  for (size_t index = 0; index < values.size(); ++index) data[placeOf(info, index)] = values[index];
  return true;
}

bool writeOutput(const char* path, const Engine& engine) {
  const TensorInfo& info = engine.outputs()[0];
  const float* data = static_cast<const float*>(engine.outputData(0));
  std::vector<float> values(info.elements());
  for (size_t index = 0; index < values.size(); ++index) values[index] = data[placeOf(info, index)];
  return bench::writeFile(path, values.data(), values.size() * sizeof(float));
}

double wallMs() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// One picture through the pipeline, then twice through its engine alone, of which the second counts: as in a loop of it. It
/// is the same engine, since a second one would push the weights of the first out of the caches.
int compareStages(selvedge::Pipeline* pipeline, const std::vector<unsigned char>& picture) {
  Engine* bare = &pipeline->engine();
  std::puts("ready");
  std::fflush(stdout);
  char line[64];
  selvedge::Result result;
  selvedge::StageTimes times;
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    std::vector<double> stage, alone;
    for (const double end = wallMs() + std::atof(line); wallMs() < end || stage.size() < 5;) {
      // The whole pipeline leaves its own data in the caches; what "infer" then costs more is overhead too.
      if (!pipeline->inferEncoded({picture.data(), picture.size()}, &result, &times).isOk()) return fail("inference failed");
      stage.push_back(times.inferMs);
      if (!bare->run().isOk()) return fail("inference failed");
      const double since = wallMs();
      if (!bare->run().isOk()) return fail("inference failed");
      alone.push_back(wallMs() - since);
    }
    std::printf("{\"turns\":%zu,\"medianMs\":%.6f,\"bareMs\":%.6f}\n", stage.size(), bench::quartileOf(stage), bench::quartileOf(alone));
    std::fflush(stdout);
  }
  return 0;
}

int runPipeline(selvedge::Pipeline* pipeline, const char* path, const std::string& count) {
  std::vector<unsigned char> bytes;
  selvedge::Result result;
  selvedge::StageTimes times;
  return bench::serve(count, [&] {
    const bool read = bench::readFile(path, &bytes);
    const Status status = pipeline->inferEncoded({bytes.data(), bytes.size()}, &result, &times);
    if (!read || !status.isOk()) std::exit(fail(status.message()));
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return fail("usage: PEER pipeline|infer|output|overhead FOLDER INPUT [COUNT|OUTPUT]");
  const std::string mode = argv[1];
  const std::string last = argc > 4 ? argv[4] : "";
  std::unique_ptr<selvedge::Pipeline> pipeline;
  selvedge::PipelineOptions options;
  options.folder = argv[2];
  if (Status status = selvedge::openPipeline(options, &pipeline); !status.isOk()) return fail(status.message());
  if (mode == "pipeline") return runPipeline(pipeline.get(), argv[3], last);
  if (mode == "overhead") {
    std::vector<unsigned char> picture;
    if (!bench::readFile(argv[3], &picture)) return fail("no picture");
    return compareStages(pipeline.get(), picture);
  }
  Engine& engine = pipeline->engine();
  if (!fill(argv[3], &engine)) return fail("the input does not fit the tensor");
  if (mode == "output") return engine.run().isOk() && writeOutput(last.c_str(), engine) ? 0 : fail("inference failed");
  return bench::serve(last, [&] {
    if (!engine.run().isOk()) std::exit(fail("inference failed"));
  });
}
