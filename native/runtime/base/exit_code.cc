#include "base/exit_code.h"

#include <cstring>

namespace selvedge {

int exitCodeOf(const Status& status) {
  if (status.isOk()) return kExitOk;
  static constexpr struct {
    const char* code;
    int exitCode;
  } kTable[] = {
      {"INPUT_INVALID", kExitInvalid},       {"USAGE", kExitInvalid},           {"FILE_UNREADABLE", kExitInvalid},
      {"PAYLOAD_TOO_LARGE", kExitInvalid},   {"UNSUPPORTED_MEDIA", kExitInvalid}, {"IMAGE_UNREADABLE", kExitInvalid},
      {"MODEL_INVALID", kExitInvalid},       {"OP_UNSUPPORTED", kExitInvalid},  {"SHAPE_MISMATCH", kExitInvalid},
      {"PREPROC_INVALID", kExitInvalid},     {"RESOURCES_UNAVAILABLE", kExitInvalid}, {"NOT_FOUND", kExitNotFound},
      {"PORT_IN_USE", kExitConflict},        {"TIMEOUT", kExitUnavailable},     {"RATE_LIMITED", kExitUnavailable},
      {"INTERRUPTED", kExitInterrupted},     {"INTERNAL", kExitBug},
  };
  for (const auto& [code, exitCode] : kTable) {
    if (std::strcmp(code, status.code()) == 0) return exitCode;
  }
  return kExitFailed;
}

}  // namespace selvedge
