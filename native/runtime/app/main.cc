// The executable `run` of a package.
#include <signal.h>

#include <cstdio>

#include "app/arguments.h"
#include "app/commands.h"
#include "app/own_folder.h"
#include "app/report.h"
#include "base/exit_code.h"

int main(int argc, char** argv) {
  using namespace selvedge;
  Arguments arguments;
  if (Status status = parseArguments(argc, argv, &arguments); !status.isOk()) return report(status);
  // A reader that went away is an error of write(), told in words.
  signal(SIGPIPE, SIG_IGN);
  if (arguments.command == Command::help) {
    std::fputs(kHelp, stdout);
    return kExitOk;
  }
  const std::string folder = ownFolder();
  switch (arguments.command) {
    case Command::infer: return runInfer(arguments, folder);
    case Command::bench: return runBench(arguments, folder);
    case Command::serve: return runServer(pipelineOptions(arguments, folder), arguments.serve, openPipeline);
    case Command::describe: return runDescribe(arguments, folder);
    case Command::selfTest: return runSelfTest(arguments, folder);
    case Command::version: return runVersion(folder);
    case Command::help: break;
  }
  return kExitOk;
}
