#include "serve/tensor_order.h"

#include <cstdint>
#include <cstring>

namespace selvedge::serve {

namespace {

/// [rows, columns] to [columns, rows]. memcpy because a request's bytes lie where they lie.
template <typename Value>
void transpose(const uint8_t* from, uint8_t* to, size_t rows, size_t columns) {
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      Value value;
      std::memcpy(&value, from + (row * columns + column) * sizeof(Value), sizeof(Value));
      std::memcpy(to + (column * rows + row) * sizeof(Value), &value, sizeof(Value));
    }
  }
}

void transposeEach(const TensorInfo& info, const void* from, void* to, bool toMemory) {
  const auto channels = static_cast<size_t>(info.shape[1]);
  const auto pixels = static_cast<size_t>(info.shape[2]) * static_cast<size_t>(info.shape[3]);
  const size_t rows = toMemory ? channels : pixels;
  const size_t columns = toMemory ? pixels : channels;
  const size_t stride = channels * pixels * typeBytes(info.type);
  const auto* source = static_cast<const uint8_t*>(from);
  auto* target = static_cast<uint8_t*>(to);
  for (int64_t sample = 0; sample < info.shape[0]; ++sample, source += stride, target += stride) {
    switch (typeBytes(info.type)) {
      case 1: transpose<uint8_t>(source, target, rows, columns); break;
      case 4: transpose<uint32_t>(source, target, rows, columns); break;
      default: transpose<uint64_t>(source, target, rows, columns); break;
    }
  }
}

bool isTransposed(const TensorInfo& info) { return info.order == MemoryOrder::nhwc && info.shape.size() == 4; }

}  // namespace

size_t typeBytes(DataType type) {
  switch (type) {
    case DataType::int64: return 8;
    case DataType::uint8: return 1;
    case DataType::float32:
    case DataType::int32: break;
  }
  return 4;
}

void toMemoryOrder(const TensorInfo& info, const void* from, void* to) {
  if (isTransposed(info)) transposeEach(info, from, to, true);
  else std::memcpy(to, from, info.elements() * typeBytes(info.type));
}

void toShapeOrder(const TensorInfo& info, const void* from, void* to) {
  if (isTransposed(info)) transposeEach(info, from, to, false);
  else std::memcpy(to, from, info.elements() * typeBytes(info.type));
}

}  // namespace selvedge::serve
