#include "engine/onnxruntime/ort_tensors.h"

#include <cstring>

namespace selvedge {
namespace {

constexpr size_t kAlignment = 64;

bool typeOf(ONNXTensorElementDataType type, DataType* out) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: *out = DataType::float32; return true;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: *out = DataType::int64; return true;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: *out = DataType::int32; return true;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: *out = DataType::uint8; return true;
    default: return false;
  }
}

/// Frees what ONNX Runtime allocated, at the end of a scope.
template <typename T>
class Owned {
 public:
  explicit Owned(void(ORT_API_CALL* release)(T*)) : release_(release) {}
  ~Owned() {
    if (value_ != nullptr) release_(value_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T** out() { return &value_; }
  T* get() const { return value_; }

 private:
  void(ORT_API_CALL* release_)(T*);
  T* value_ = nullptr;
};

Status readTypeAndShape(const OrtApi& api, const OrtTensorTypeAndShapeInfo* tensor, TensorInfo* info) {
  std::string message;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  if (!ortSucceeded(api, api.GetTensorElementType(tensor, &type), &message) ||
      !ortSucceeded(api, api.GetDimensionsCount(tensor, &rank), &message)) {
    return Status::error("MODEL_INVALID", "\"" + info->name + "\": " + message);
  }
  if (!typeOf(type, &info->type)) {
    return Status::error("MODEL_INVALID", "\"" + info->name + "\" has an element type that cannot be fed or fetched here");
  }
  info->shape.assign(rank, 0);
  if (!ortSucceeded(api, api.GetDimensions(tensor, info->shape.data(), rank), &message)) {
    return Status::error("MODEL_INVALID", "\"" + info->name + "\": " + message);
  }
  return Status::ok();
}

}  // namespace

size_t elementBytes(DataType type) {
  switch (type) {
    case DataType::int64: return 8;
    case DataType::uint8: return 1;
    default: return 4;
  }
}

ONNXTensorElementDataType ortType(DataType type) {
  switch (type) {
    case DataType::int64: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    case DataType::int32: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    case DataType::uint8: return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    default: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
}

Status describeTensor(const OrtApi& api, const OrtSession* session, bool isInput, size_t index, TensorInfo* info) {
  OrtAllocator* allocator = nullptr;
  std::string message;
  char* name = nullptr;
  Owned<OrtTypeInfo> type(api.ReleaseTypeInfo);
  const bool named =
      ortSucceeded(api, api.GetAllocatorWithDefaultOptions(&allocator), &message) &&
      ortSucceeded(api, isInput ? api.SessionGetInputName(session, index, allocator, &name) : api.SessionGetOutputName(session, index, allocator, &name),
                   &message);
  if (!named) return Status::error("MODEL_INVALID", message);
  info->name = name;
  ortSucceeded(api, api.AllocatorFree(allocator, name), &message);
  OrtStatus* asked = isInput ? api.SessionGetInputTypeInfo(session, index, type.out()) : api.SessionGetOutputTypeInfo(session, index, type.out());
  if (!ortSucceeded(api, asked, &message)) return Status::error("MODEL_INVALID", message);
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;  // belongs to `type`
  if (!ortSucceeded(api, api.CastTypeInfoToTensorInfo(type.get(), &tensor), &message)) return Status::error("MODEL_INVALID", message);
  if (tensor == nullptr) return Status::error("MODEL_INVALID", "\"" + info->name + "\" is not a tensor");
  return readTypeAndShape(api, tensor, info);
}

Status describeValue(const OrtApi& api, const OrtValue* value, TensorInfo* info) {
  std::string message;
  Owned<OrtTensorTypeAndShapeInfo> tensor(api.ReleaseTensorTypeAndShapeInfo);
  if (!ortSucceeded(api, api.GetTensorTypeAndShape(value, tensor.out()), &message)) {
    return Status::error("MODEL_INVALID", "\"" + info->name + "\": " + message);
  }
  return readTypeAndShape(api, tensor.get(), info);
}

Status allocateTensor(const TensorInfo& info, AlignedMemory* memory) {
  size_t bytes = elementBytes(info.type);
  for (const int64_t edge : info.shape) {
    if (edge < 1) return Status::error("MODEL_INVALID", "\"" + info.name + "\" has no fixed shape");
    if (static_cast<uint64_t>(edge) > kMaxTensorBytes / bytes) return Status::error("MODEL_INVALID", "\"" + info.name + "\" is larger than 1 GiB");
    bytes *= static_cast<size_t>(edge);
  }
  const size_t size = (bytes + 2 * kAlignment - 1) / kAlignment * kAlignment;
  memory->reset(std::aligned_alloc(kAlignment, size));
  if (*memory == nullptr) return Status::error("MODEL_INVALID", "there is no memory for \"" + info.name + "\"");
  std::memset(memory->get(), 0, size);
  return Status::ok();
}

}  // namespace selvedge
