#include "serve/log.h"

#include <cstdio>
#include <ctime>
#include <unistd.h>

#include "serve/http_message.h"
#include "serve/problem.h"

namespace selvedge::serve {

void logLine(const char* level, const std::string& message, const std::vector<std::pair<const char*, std::string>>& fields) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const UtcTime utc = utcTime(now.tv_sec);
  char at[80];
  std::snprintf(at, sizeof at, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second,
                static_cast<int>(now.tv_nsec / 1'000'000));
  std::string line = std::string("{\"at\":\"") + at + "\",\"level\":\"" + level + "\",\"name\":\"model-server\",\"message\":";
  appendJsonString(message, &line);
  for (const auto& [key, value] : fields) {
    line += std::string(",\"") + key + "\":";
    appendJsonString(value, &line);
  }
  line += "}\n";
  // One write per line, so that lines of several processes do not mix; a log that nobody reads must not stop the server.
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

}  // namespace selvedge::serve
