// The command line.
#ifndef SELVEDGE_APP_ARGUMENTS_H
#define SELVEDGE_APP_ARGUMENTS_H

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "serve/server.h"

namespace selvedge {

enum class Command { infer, bench, serve, describe, selfTest, version, help };

struct Arguments {
  Command command = Command::infer;
  std::vector<std::string> inputs;
  bool watch = false;
  /// "-" or a file.
  std::string output = "-";
  /// Folder for annotated pictures; empty: none.
  std::string annotateFolder;
  /// Pictures after which to stop; 0: none.
  uint64_t limit = 0;
  bool json = false;
  int seconds = 3;
  int threads = 1;
  std::string modelPath;
  ServeOptions serve;
};

/// @returns USAGE with what is wrong and what would be right.
Status parseArguments(int argc, const char* const* argv, Arguments* arguments);

/// What --help prints.
extern const char* const kHelp;

}  // namespace selvedge

#endif
