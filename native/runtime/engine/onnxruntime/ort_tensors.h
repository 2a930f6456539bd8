// The inputs and outputs of a session: what they are, and the memory they live in.
#ifndef SELVEDGE_ENGINE_ONNXRUNTIME_ORT_TENSORS_H
#define SELVEDGE_ENGINE_ONNXRUNTIME_ORT_TENSORS_H

#include <cstdlib>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/onnxruntime/ort_library.h"

namespace selvedge {

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};
using AlignedMemory = std::unique_ptr<void, FreeDeleter>;

/// Largest tensor that is taken memory for.
constexpr size_t kMaxTensorBytes = size_t{1} << 30;

/// Bytes of one element.
size_t elementBytes(DataType type);

/// ONNX Runtime's name of a type.
ONNXTensorElementDataType ortType(DataType type);

/// Name, type and shape of an input or output. Unknown edges are -1.
Status describeTensor(const OrtApi& api, const OrtSession* session, bool isInput, size_t index, TensorInfo* info);

/// Type and shape of a value that a run gave. @returns MODEL_INVALID when it is not a tensor of a supported type.
Status describeValue(const OrtApi& api, const OrtValue* value, TensorInfo* info);

/// 64-byte aligned zeros for a tensor and 64 bytes behind it. @returns MODEL_INVALID when the shape has an unknown edge or
/// is too large.
Status allocateTensor(const TensorInfo& info, AlignedMemory* memory);

}  // namespace selvedge

#endif
