// Keeps the noise of a library's start away from people.
#ifndef SELVEDGE_ENGINE_ONNXRUNTIME_QUIET_STDERR_H
#define SELVEDGE_ENGINE_ONNXRUNTIME_QUIET_STDERR_H

#include <functional>

namespace selvedge {

/// Runs `work` while what the process writes to standard error goes through a filter: the messages "Schema error: ..."
/// are dropped, all other lines passed on. (Debian's ONNX Runtime registers its operators twice and reports each one,
/// 116 kB at every start.) Where no pipe can be had, `work` runs unfiltered.
void runWithoutSchemaErrors(const std::function<void()>& work);

}  // namespace selvedge

#endif
