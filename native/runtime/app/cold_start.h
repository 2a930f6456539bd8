// Time from exec to the first result.
#ifndef SELVEDGE_APP_COLD_START_H
#define SELVEDGE_APP_COLD_START_H

#include <optional>
#include <string>
#include <vector>

#include "app/arguments.h"

namespace selvedge {

/// Starts `FOLDER/run` with the picture on its stdin and waits for its first line; the median of three starts.
/// @returns milliseconds; nothing when it cannot be started (an emulator without binfmt) or gives no result.
std::optional<double> measureColdStart(const Arguments& arguments, const std::string& folder, const std::vector<uint8_t>& picture);

}  // namespace selvedge

#endif
