// The engine for models that XNNPACK has not every operator of: ONNX Runtime on the CPU, behind engine/engine.h.
#include <unistd.h>

#include <algorithm>

#include "engine/engine.h"
#include "engine/onnxruntime/ort_library.h"
#include "engine/onnxruntime/ort_tensors.h"
#include "engine/onnxruntime/quiet_stderr.h"

namespace selvedge {
namespace {

class OrtEngine : public Engine {
 public:
  explicit OrtEngine(const OrtLibrary& library) : library_(library), api_(*library.api) {}
  ~OrtEngine() override;
  OrtEngine(const OrtEngine&) = delete;
  OrtEngine& operator=(const OrtEngine&) = delete;

  Status open(const EngineOptions& options);

  const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  const std::vector<TensorInfo>& outputs() const override { return outputs_; }
  void* inputData(size_t index) override { return inputMemory_[index].get(); }
  const void* outputData(size_t index) const override { return outputMemory_[index].get(); }
  Status run() override;
  std::string description() const override { return "onnxruntime " + library_.version; }

 private:
  Status createSession(const EngineOptions& options);
  Status tryCreateSession(const EngineOptions& options, bool precise);
  Status prepareInputs();
  Status prepareOutputs();
  Status bind(const TensorInfo& info, void* memory, std::vector<OrtValue*>* values);

  const OrtLibrary& library_;
  const OrtApi& api_;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memoryInfo_ = nullptr;
  std::vector<TensorInfo> inputs_, outputs_;
  std::vector<AlignedMemory> inputMemory_, outputMemory_;
  std::vector<OrtValue*> inputValues_, outputValues_;
  std::vector<const char*> inputNames_, outputNames_;
};

OrtEngine::~OrtEngine() {
  for (OrtValue* value : inputValues_) api_.ReleaseValue(value);
  for (OrtValue* value : outputValues_) api_.ReleaseValue(value);
  if (memoryInfo_ != nullptr) api_.ReleaseMemoryInfo(memoryInfo_);
  if (session_ != nullptr) api_.ReleaseSession(session_);
}

// x86 without VNNI adds pairs of int8 products in 16 bits, which overflow; with `precise` ONNX Runtime takes a kernel that keeps the result
// right. It fails on models in which nodes share a quantised weight: those are loaded without it.
Status OrtEngine::createSession(const EngineOptions& options) {
  return tryCreateSession(options, true).isOk() ? Status::ok() : tryCreateSession(options, false);
}

Status OrtEngine::tryCreateSession(const EngineOptions& options, bool precise) {
  OrtSessionOptions* sessionOptions = nullptr;
  std::string message;
  const int threads = std::clamp(options.threads, 1, 64);
  bool good = ortSucceeded(api_, api_.CreateSessionOptions(&sessionOptions), &message);
  good = good && ortSucceeded(api_, api_.SetIntraOpNumThreads(sessionOptions, threads), &message);
  good = good && ortSucceeded(api_, api_.SetInterOpNumThreads(sessionOptions, 1), &message);
  good = good && ortSucceeded(api_, api_.SetSessionExecutionMode(sessionOptions, ORT_SEQUENTIAL), &message);
  good = good && ortSucceeded(api_, api_.SetSessionGraphOptimizationLevel(sessionOptions, ORT_ENABLE_ALL), &message);
  if (precise) {
    good = good && ortSucceeded(api_, api_.SetSessionLogSeverityLevel(sessionOptions, ORT_LOGGING_LEVEL_FATAL), &message);
    good = good && ortSucceeded(api_, api_.AddSessionConfigEntry(sessionOptions, "session.x64quantprecision", "1"), &message);
  }
  if (good) {
    // The first session of a process registers the operators.
    OrtStatus* created = nullptr;
    runWithoutSchemaErrors([&] { created = api_.CreateSession(library_.env, options.modelPath.c_str(), sessionOptions, &session_); });
    good = ortSucceeded(api_, created, &message);
  }
  if (sessionOptions != nullptr) api_.ReleaseSessionOptions(sessionOptions);
  return good ? Status::ok() : Status::error("MODEL_INVALID", options.modelPath + ": " + message);
}

Status OrtEngine::bind(const TensorInfo& info, void* memory, std::vector<OrtValue*>* values) {
  OrtValue* value = nullptr;
  std::string message;
  const size_t bytes = info.elements() * elementBytes(info.type);
  OrtStatus* made = api_.CreateTensorWithDataAsOrtValue(memoryInfo_, memory, bytes, info.shape.data(), info.shape.size(), ortType(info.type), &value);
  if (!ortSucceeded(api_, made, &message)) return Status::error("MODEL_INVALID", "\"" + info.name + "\": " + message);
  values->push_back(value);
  return Status::ok();
}

Status OrtEngine::prepareInputs() {
  std::string message;
  size_t count = 0;
  if (!ortSucceeded(api_, api_.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memoryInfo_), &message) ||
      !ortSucceeded(api_, api_.SessionGetInputCount(session_, &count), &message)) {
    return Status::error("MODEL_INVALID", message);
  }
  inputs_.resize(count);
  inputMemory_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    TensorInfo& info = inputs_[i];
    Status status = describeTensor(api_, session_, true, i, &info);
    if (!status.isOk()) return status;
    // An open batch: pictures come one by one.
    if (!info.shape.empty() && info.shape[0] < 1) info.shape[0] = 1;
    status = allocateTensor(info, &inputMemory_[i]);
    if (status.isOk()) status = bind(info, inputMemory_[i].get(), &inputValues_);
    if (!status.isOk()) return status;
  }
  for (const TensorInfo& info : inputs_) inputNames_.push_back(info.name.c_str());
  return Status::ok();
}

/// Shapes of outputs are often not written in the model: a run tells them, and takes ONNX Runtime's memory on the way.
Status OrtEngine::prepareOutputs() {
  std::string message;
  size_t count = 0;
  if (!ortSucceeded(api_, api_.SessionGetOutputCount(session_, &count), &message)) return Status::error("MODEL_INVALID", message);
  outputs_.resize(count);
  outputMemory_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const Status status = describeTensor(api_, session_, false, i, &outputs_[i]);
    if (!status.isOk()) return status;
  }
  for (const TensorInfo& info : outputs_) outputNames_.push_back(info.name.c_str());
  std::vector<OrtValue*> first(count, nullptr);
  const bool ran = ortSucceeded(api_, api_.Run(session_, nullptr, inputNames_.data(), inputValues_.data(), inputValues_.size(), outputNames_.data(), count,
                                               first.data()),
                                &message);
  Status status = ran ? Status::ok() : Status::error("MODEL_INVALID", message);
  for (size_t i = 0; i < count && status.isOk(); ++i) {
    status = describeValue(api_, first[i], &outputs_[i]);
    if (status.isOk()) status = allocateTensor(outputs_[i], &outputMemory_[i]);
    if (status.isOk()) status = bind(outputs_[i], outputMemory_[i].get(), &outputValues_);
  }
  for (OrtValue* value : first) {
    if (value != nullptr) api_.ReleaseValue(value);
  }
  return status;
}

Status OrtEngine::open(const EngineOptions& options) {
  Status status = createSession(options);
  if (status.isOk()) status = prepareInputs();
  if (status.isOk()) status = prepareOutputs();
  return status;
}

Status OrtEngine::run() {
  std::string message;
  OrtStatus* ran = api_.Run(session_, nullptr, inputNames_.data(), inputValues_.data(), inputValues_.size(), outputNames_.data(), outputNames_.size(),
                            outputValues_.data());
  return ortSucceeded(api_, ran, &message) ? Status::ok() : Status::error("INFERENCE_FAILED", message);
}

}  // namespace

Status openEngine(const EngineOptions& options, std::unique_ptr<Engine>* engine) {
  if (access(options.modelPath.c_str(), R_OK) != 0) return Status::error("FILE_UNREADABLE", options.modelPath + " cannot be read");
  const OrtLibrary* library = nullptr;
  Status status = loadOrtLibrary(&library);
  if (!status.isOk()) return status;
  auto opened = std::make_unique<OrtEngine>(*library);
  status = opened->open(options);
  if (status.isOk()) *engine = std::move(opened);
  return status;
}

}  // namespace selvedge
