// ONNX Runtime with as little around it as there can be: PEER infer|output MODEL INPUT [COUNT|OUTPUT]
// INPUT holds the float32 values of the tensor. One thread, all optimisations.
#include <onnxruntime_c_api.h>

#include "peer_loop.h"

namespace {

const OrtApi* api = nullptr;

void check(OrtStatus* status) {
  if (status == nullptr) return;
  std::fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  std::exit(1);
}

struct Model {
  OrtSession* session = nullptr;
  OrtValue* input = nullptr;
  char* inputName = nullptr;
  char* outputName = nullptr;
  std::vector<unsigned char> values;
};

std::vector<int64_t> shapeOf(OrtSession* session) {
  OrtTypeInfo* type = nullptr;
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  size_t rank = 0;
  check(api->SessionGetInputTypeInfo(session, 0, &type));
  check(api->CastTypeInfoToTensorInfo(type, &tensor));
  check(api->GetDimensionsCount(tensor, &rank));
  std::vector<int64_t> shape(rank);
  check(api->GetDimensions(tensor, shape.data(), rank));
  api->ReleaseTypeInfo(type);
  for (int64_t& edge : shape) edge = edge < 1 ? 1 : edge;
  return shape;
}

void open(const char* modelPath, const char* inputPath, Model* model) {
  OrtEnv* env = nullptr;
  OrtSessionOptions* options = nullptr;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bench", &env));
  check(api->CreateSessionOptions(&options));
  check(api->SetIntraOpNumThreads(options, 1));
  check(api->SetInterOpNumThreads(options, 1));
  check(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
  check(api->CreateSession(env, modelPath, options, &model->session));
  OrtAllocator* allocator = nullptr;
  check(api->GetAllocatorWithDefaultOptions(&allocator));
  check(api->SessionGetInputName(model->session, 0, allocator, &model->inputName));
  check(api->SessionGetOutputName(model->session, 0, allocator, &model->outputName));
  if (!bench::readFile(inputPath, &model->values)) std::exit(1);
  OrtMemoryInfo* memory = nullptr;
  check(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
  const std::vector<int64_t> shape = shapeOf(model->session);
  check(api->CreateTensorWithDataAsOrtValue(memory, model->values.data(), model->values.size(), shape.data(), shape.size(),
                                            ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &model->input));
}

OrtValue* run(const Model& model) {
  OrtValue* output = nullptr;
  const char* const inputs[] = {model.inputName};
  const char* const outputs[] = {model.outputName};
  const OrtValue* const values[] = {model.input};
  check(api->Run(model.session, nullptr, inputs, values, 1, outputs, 1, &output));
  return output;
}

bool writeValue(const char* path, OrtValue* value) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  size_t count = 0;
  void* data = nullptr;
  check(api->GetTensorTypeAndShape(value, &info));
  check(api->GetTensorShapeElementCount(info, &count));
  check(api->GetTensorMutableData(value, &data));
  return bench::writeFile(path, data, count * sizeof(float));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: PEER infer|output MODEL INPUT [COUNT|OUTPUT]\n", stderr);
    return 2;
  }
  const std::string mode = argv[1];
  const std::string last = argc > 4 ? argv[4] : "";
  const OrtApiBase* base = OrtGetApiBase();
  api = base->GetApi(ORT_API_VERSION);
  if (api == nullptr) {
    std::fprintf(stderr, "ONNX Runtime %s is older than the header\n", base->GetVersionString());
    return 1;
  }
  Model model;
  open(argv[2], argv[3], &model);
  if (mode == "output") return writeValue(last.c_str(), run(model)) ? 0 : 1;
  return bench::serve(last, [&] { api->ReleaseValue(run(model)); });
}
