// Between the order of a tensor's values in a request (row-major, N C H W) and in the engine's memory.
#ifndef SELVEDGE_SERVE_TENSOR_ORDER_H
#define SELVEDGE_SERVE_TENSOR_ORDER_H

#include <cstddef>

#include "engine/engine.h"

namespace selvedge::serve {

size_t typeBytes(DataType type);

/// Copies a whole tensor from the order of its shape to the order in memory. `from` need not be aligned.
void toMemoryOrder(const TensorInfo& info, const void* from, void* to);

/// Copies a whole tensor from the order in memory to the order of its shape. `to` need not be aligned.
void toShapeOrder(const TensorInfo& info, const void* from, void* to);

}  // namespace selvedge::serve

#endif
