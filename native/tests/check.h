// The least that a test needs: conditions that are counted and printed, and an exit code.
#ifndef SELVEDGE_TESTS_CHECK_H
#define SELVEDGE_TESTS_CHECK_H

#include <cstdio>
#include <string>

namespace selvedge {

inline int& failedChecks() {
  static int count = 0;
  return count;
}

inline void reportFailure(const char* file, int line, const std::string& what) {
  failedChecks()++;
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

inline std::string textOf(const std::string& value) { return '"' + value + '"'; }
inline std::string textOf(const char* value) { return textOf(std::string(value)); }
template <typename Value>
std::string textOf(const Value& value) {
  return std::to_string(value);
}

/// What main() returns.
inline int checkResult() {
  if (failedChecks() > 0) std::fprintf(stderr, "%d checks failed\n", failedChecks());
  return failedChecks() > 0 ? 1 : 0;
}

}  // namespace selvedge

#define CHECK(condition)                                                                      \
  do {                                                                                        \
    if (!(condition)) selvedge::reportFailure(__FILE__, __LINE__, "failed: " #condition);     \
  } while (false)

#define CHECK_EQ(actual, expected)                                                                                        \
  do {                                                                                                                    \
    const auto& actualValue = (actual);                                                                                   \
    const auto& expectedValue = (expected);                                                                               \
    if (!(actualValue == expectedValue)) {                                                                                \
      selvedge::reportFailure(__FILE__, __LINE__,                                                                         \
                              #actual " is " + selvedge::textOf(actualValue) + ", not " + selvedge::textOf(expectedValue)); \
    }                                                                                                                     \
  } while (false)

/// For functions that return a Status; `code` is "" for ok.
#define CHECK_CODE(status, expected)                                                                                     \
  do {                                                                                                                   \
    const selvedge::Status actualStatus = (status);                                                                      \
    if (std::string(actualStatus.code()) != (expected)) {                                                                \
      selvedge::reportFailure(__FILE__, __LINE__,                                                                        \
                              #status " gave " + selvedge::textOf(actualStatus.code()) + ": " + actualStatus.message()); \
    }                                                                                                                    \
  } while (false)

#endif
