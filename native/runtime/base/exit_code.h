// What the executable exits with, whatever it was asked to do.
#ifndef SELVEDGE_BASE_EXIT_CODE_H
#define SELVEDGE_BASE_EXIT_CODE_H

#include "base/status.h"

namespace selvedge {

constexpr int kExitOk = 0;
constexpr int kExitBug = 1;
constexpr int kExitInvalid = 2;
constexpr int kExitNotFound = 3;
constexpr int kExitConflict = 4;
constexpr int kExitFailed = 6;
constexpr int kExitUnavailable = 7;
constexpr int kExitInterrupted = 130;

/// As the error table of the contract has it.
int exitCodeOf(const Status& status);

}  // namespace selvedge

#endif
