// A view of bytes that somebody else owns.
#ifndef SELVEDGE_BASE_BYTES_H
#define SELVEDGE_BASE_BYTES_H

#include <cstddef>
#include <cstdint>

namespace selvedge {

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

}  // namespace selvedge

#endif
