#include "app/report.h"

#include <cstdio>
#include <string>

#include "base/exit_code.h"

namespace selvedge {

int report(const Status& status) {
  std::string line = status.message();
  for (char& character : line) {
    // A control character of a hostile file name must not reach the terminal.
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) character = ' ';
  }
  std::fprintf(stderr, "run: %s [%s]\n", line.c_str(), status.code());
  return exitCodeOf(status);
}

}  // namespace selvedge
