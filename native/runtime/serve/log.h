// Log lines on stderr: JSON, the same fields as the other processes of the product write.
#ifndef SELVEDGE_SERVE_LOG_H
#define SELVEDGE_SERVE_LOG_H

#include <string>
#include <utility>
#include <vector>

namespace selvedge::serve {

/// @param level - info, warn or error.
void logLine(const char* level, const std::string& message, const std::vector<std::pair<const char*, std::string>>& fields = {});

}  // namespace selvedge::serve

#endif
