// What the command line can ask for. Each returns the exit code and has reported its failure.
#ifndef SELVEDGE_APP_COMMANDS_H
#define SELVEDGE_APP_COMMANDS_H

#include <string>

#include "app/arguments.h"
#include "pipeline/pipeline.h"

namespace selvedge {

/// @param folder - of the package; also of the others.
int runInfer(const Arguments& arguments, const std::string& folder);
/// Prints nativeBenchSchema with --json, else a table.
int runBench(const Arguments& arguments, const std::string& folder);
int runDescribe(const Arguments& arguments, const std::string& folder);
int runSelfTest(const Arguments& arguments, const std::string& folder);
int runVersion(const std::string& folder);

PipelineOptions pipelineOptions(const Arguments& arguments, const std::string& folder);

}  // namespace selvedge

#endif
