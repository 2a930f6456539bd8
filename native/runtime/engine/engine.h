// What computes a model. One executable contains one engine; the rest of the runtime knows this interface only.
#ifndef SELVEDGE_ENGINE_ENGINE_H
#define SELVEDGE_ENGINE_ENGINE_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace selvedge {

enum class DataType { float32, int64, int32, uint8 };

/// Order of a 4-D tensor's values in memory. `asShape`: as the shape says (row-major), also for every other rank.
enum class MemoryOrder { asShape, nhwc };

struct TensorInfo {
  std::string name;
  DataType type = DataType::float32;
  /// As in the ONNX model (4-D: N, C, H, W), all edges known and >= 1.
  std::vector<int64_t> shape;
  /// `nhwc`: the values lie in the order N, H, W, C although `shape` says N, C, H, W.
  MemoryOrder order = MemoryOrder::asShape;

  size_t elements() const {
    size_t count = 1;
    for (int64_t edge : shape) count *= static_cast<size_t>(edge);
    return count;
  }
};

struct EngineOptions {
  /// File with the weights (xnnpack) or the model (onnxruntime).
  std::string modelPath;
  /// Threads that compute one inference; 1 .. 64.
  int threads = 1;
};

/// A model that is loaded and can be run by one caller at a time.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const std::vector<TensorInfo>& inputs() const = 0;
  virtual const std::vector<TensorInfo>& outputs() const = 0;
  /// Where the values of input `index` are to be written before run(): 64-byte aligned, `elements()` values of its type in
  /// its memory order. Stays the same for the life of the engine; the caller may read up to 64 bytes behind the end.
  virtual void* inputData(size_t index) = 0;
  /// Computes the outputs from the inputs. @returns INFERENCE_FAILED when the engine refuses.
  virtual Status run() = 0;
  /// Values of output `index` of the last run(), valid until the next one.
  virtual const void* outputData(size_t index) const = 0;
  /// Name and version for people and metrics, e.g. "xnnpack 4ea82e5 int8".
  virtual std::string description() const = 0;
};

/// Loads the model. Defined by the engine that is linked in.
/// @returns MODEL_INVALID when the file is damaged or belongs to another graph, FILE_UNREADABLE.
Status openEngine(const EngineOptions& options, std::unique_ptr<Engine>* engine);

}  // namespace selvedge

#endif
