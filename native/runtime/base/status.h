// The outcome of what can fail. The runtime is built without exceptions: every fault is a value with a code.
#ifndef SELVEDGE_BASE_STATUS_H
#define SELVEDGE_BASE_STATUS_H

#include <string>
#include <utility>

namespace selvedge {

/// Ok, or an error with a code of packages/contract/src/errors.ts (INPUT_INVALID, SHAPE_MISMATCH, ...) and a message for
/// people: what failed, with which input, what would be right.
class [[nodiscard]] Status {
 public:
  Status() = default;
  static Status ok() { return {}; }
  /// @param code - a literal from the error table; not copied.
  static Status error(const char* code, std::string message) { return Status(code, std::move(message)); }

  bool isOk() const { return code_ == nullptr; }
  const char* code() const { return code_ == nullptr ? "" : code_; }
  const std::string& message() const { return message_; }

 private:
  Status(const char* code, std::string message) : code_(code), message_(std::move(message)) {}
  const char* code_ = nullptr;
  std::string message_;
};

}  // namespace selvedge

#endif
