// Runs a model that generated code describes, on XNNPACK.
#include <pthreadpool.h>
#include <xnnpack.h>

#include <cstdlib>
#include <cstring>

#include "engine/engine.h"
#include "engine/xnnpack/model.h"
#include "engine/xnnpack/weights_file.h"

namespace selvedge::xnnpack {
namespace {

constexpr size_t kAlignment = 64;
constexpr int kMaxThreads = 64;
/// What kernels may read behind a tensor, and the caller behind an input.
constexpr size_t kSlackBytes = XNN_EXTRA_BYTES > 64 ? XNN_EXTRA_BYTES : 64;

const char* describe(xnn_status status) {
  switch (status) {
    case xnn_status_invalid_parameter:
      return "invalid parameter";
    case xnn_status_unsupported_parameter:
      return "unsupported parameter";
    case xnn_status_unsupported_hardware:
      return "this processor is not supported";
    case xnn_status_out_of_memory:
      return "out of memory";
    default:
      return "invalid state";
  }
}

Status failed(const char* code, const char* what, xnn_status status) {
  return Status::error(code, std::string("XNNPACK cannot ") + what + ": " + describe(status));
}

struct Free {
  void operator()(void* memory) const { free(memory); }
};

/// Memory for one input or output.
struct Buffer {
  std::unique_ptr<void, Free> memory;

  bool allocate(size_t bytes) {
    const size_t size = (bytes + kSlackBytes + kAlignment - 1) / kAlignment * kAlignment;
    memory.reset(aligned_alloc(kAlignment, size));
    if (memory != nullptr) memset(memory.get(), 0, size);
    return memory != nullptr;
  }
};

TensorInfo infoOf(const PortSpec& port) {
  TensorInfo info;
  info.name = port.name;
  info.order = port.order;
  info.shape.assign(port.shape, port.shape + port.rank);
  return info;
}

struct DeleteSubgraph {
  void operator()(xnn_subgraph* subgraph) const { xnn_delete_subgraph(subgraph); }
};
struct DeleteRuntime {
  void operator()(xnn_runtime* runtime) const { xnn_delete_runtime(runtime); }
};
struct DeletePool {
  void operator()(pthreadpool* pool) const { pthreadpool_destroy(pool); }
};
using Subgraph = std::unique_ptr<xnn_subgraph, DeleteSubgraph>;

xnn_status addQuantised(xnn_subgraph_t subgraph, const ValueSpec& value, const size_t* dims, const uint8_t* weights,
                        const void* data, uint32_t* id) {
  const uint8_t* quant = weights + value.quant;
  if (value.type == ValueType::qint8) {
    float scale;
    int32_t zeroPoint;
    memcpy(&scale, quant, sizeof(scale));
    memcpy(&zeroPoint, quant + sizeof(scale), sizeof(zeroPoint));
    return xnn_define_quantized_tensor_value(subgraph, xnn_datatype_qint8, zeroPoint, scale, value.rank, dims, data,
                                             XNN_INVALID_VALUE_ID, 0, id);
  }
  const xnn_datatype type = value.type == ValueType::qcint8 ? xnn_datatype_qcint8 : xnn_datatype_qcint32;
  // Scales lie at multiples of 64 in the file.
  const float* scales = static_cast<const float*>(static_cast<const void*>(quant));
  return xnn_define_channelwise_quantized_tensor_value(subgraph, type, scales, value.rank, value.channelAxis, dims, data,
                                                       XNN_INVALID_VALUE_ID, 0, id);
}

xnn_status addValue(xnn_subgraph_t subgraph, const ModelSpec& model, uint32_t index, const uint8_t* weights) {
  const ValueSpec& value = model.values[index];
  size_t dims[kMaxRank];
  for (size_t i = 0; i < kMaxRank; i++) dims[i] = value.dims[i];
  const void* data = value.data == 0 ? nullptr : weights + value.data;
  const bool input = index < model.inputCount;
  const bool external = index < model.inputCount + model.outputCount;
  uint32_t id = XNN_INVALID_VALUE_ID;
  xnn_status status;
  if (value.type == ValueType::float32) {
    const uint32_t flags = external ? (input ? XNN_VALUE_FLAG_EXTERNAL_INPUT : XNN_VALUE_FLAG_EXTERNAL_OUTPUT) : 0;
    status = xnn_define_tensor_value(subgraph, xnn_datatype_fp32, value.rank, dims, data,
                                     external ? index : XNN_INVALID_VALUE_ID, flags, &id);
  } else {
    status = addQuantised(subgraph, value, dims, weights, data, &id);
  }
  if (status != xnn_status_success) return status;
  // Generated calls name values by their index.
  return id == index ? xnn_status_success : xnn_status_invalid_state;
}

class XnnpackEngine final : public Engine {
 public:
  explicit XnnpackEngine(const ModelSpec& model) : model_(model) {}

  Status open(const EngineOptions& options) {
    if (options.threads < 1 || options.threads > kMaxThreads) {
      return Status::error("INPUT_INVALID", "threads must be 1 .. " + std::to_string(kMaxThreads));
    }
    if (Status status = weights_.open(options.modelPath, model_); !status.isOk()) return status;
    if (Status status = allocate(); !status.isOk()) return status;
    if (options.threads > 1) {
      pool_.reset(pthreadpool_create(static_cast<size_t>(options.threads)));
      if (pool_ == nullptr) return Status::error("INFERENCE_FAILED", "cannot start the threads of the engine");
    }
    return build();
  }

  const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  const std::vector<TensorInfo>& outputs() const override { return outputs_; }
  void* inputData(size_t index) override { return buffers_[index].memory.get(); }
  const void* outputData(size_t index) const override { return buffers_[inputs_.size() + index].memory.get(); }

  Status run() override {
    const xnn_status status = xnn_invoke_runtime(runtime_.get());
    return status == xnn_status_success ? Status::ok() : failed("INFERENCE_FAILED", "compute the model", status);
  }

  std::string description() const override { return std::string("xnnpack 4ea82e5 ") + model_.precision; }

 private:
  Status allocate() {
    for (uint32_t i = 0; i < model_.inputCount + model_.outputCount; i++) {
      TensorInfo info = infoOf(model_.ports[i]);
      Buffer buffer;
      if (!buffer.allocate(info.elements() * sizeof(float))) {
        return Status::error("INFERENCE_FAILED", "not enough memory for the tensor " + info.name);
      }
      buffers_.push_back(std::move(buffer));
      (i < model_.inputCount ? inputs_ : outputs_).push_back(std::move(info));
    }
    return Status::ok();
  }

  Status build() {
    xnn_status status = xnn_initialize(nullptr);
    if (status != xnn_status_success) return failed("INFERENCE_FAILED", "start", status);
    xnn_subgraph_t created = nullptr;
    status = xnn_create_subgraph(model_.inputCount + model_.outputCount, 0, &created);
    if (status != xnn_status_success) return failed("INFERENCE_FAILED", "start a graph", status);
    const Subgraph subgraph(created);
    for (uint32_t i = 0; i < model_.valueCount && status == xnn_status_success; i++) {
      status = addValue(created, model_, i, weights_.data());
    }
    if (status == xnn_status_success) status = model_.addOperations(created);
    if (status != xnn_status_success) return failed("MODEL_INVALID", "build the model", status);
    xnn_runtime_t runtime = nullptr;
    // Threads sleep between two inferences instead of spinning.
    const uint32_t flags = model_.runtimeFlags | (pool_ == nullptr ? 0 : XNN_FLAG_YIELD_WORKERS);
    status = xnn_create_runtime_v2(created, pool_.get(), flags, &runtime);
    if (status != xnn_status_success) return failed("MODEL_INVALID", "prepare the model", status);
    runtime_.reset(runtime);
    return connect();
  }

  /// Ties inputs and outputs to their buffers, once: neither moves nor changes its shape.
  Status connect() {
    std::vector<xnn_external_value> external;
    for (uint32_t i = 0; i < buffers_.size(); i++) external.push_back({i, buffers_[i].memory.get()});
    xnn_status status = xnn_reshape_runtime(runtime_.get());
    if (status == xnn_status_success) {
      status = xnn_setup_runtime_v2(runtime_.get(), external.size(), external.data());
    }
    if (status != xnn_status_success) return failed("MODEL_INVALID", "set the model up", status);
    // Kernels have packed the weights for themselves by now.
    weights_.release();
    return Status::ok();
  }

  const ModelSpec& model_;
  std::vector<TensorInfo> inputs_;
  std::vector<TensorInfo> outputs_;
  std::vector<Buffer> buffers_;
  WeightsFile weights_;
  std::unique_ptr<pthreadpool, DeletePool> pool_;
  std::unique_ptr<xnn_runtime, DeleteRuntime> runtime_;
};

}  // namespace

Status openModel(const ModelSpec& model, const EngineOptions& options, std::unique_ptr<Engine>* engine) {
  auto opened = std::make_unique<XnnpackEngine>(model);
  if (Status status = opened->open(options); !status.isOk()) return status;
  *engine = std::move(opened);
  return Status::ok();
}

}  // namespace selvedge::xnnpack
