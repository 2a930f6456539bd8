// Whole regular files, bounded.
#ifndef SELVEDGE_INPUT_READ_FILE_H
#define SELVEDGE_INPUT_READ_FILE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace selvedge {

/// Largest encoded picture that any input accepts.
constexpr size_t kMaxPictureBytes = 64 * 1024 * 1024;

/// Reads a regular file; never waits for a pipe or a device. Reuses the memory of `bytes`.
/// @returns FILE_UNREADABLE; PAYLOAD_TOO_LARGE when it is larger than `maxBytes`.
Status readFile(const std::string& path, size_t maxBytes, std::vector<uint8_t>* bytes);

}  // namespace selvedge

#endif
