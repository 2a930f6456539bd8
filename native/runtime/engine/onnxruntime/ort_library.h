// ONNX Runtime's C interface, loaded from the package's own folder.
#ifndef SELVEDGE_ENGINE_ONNXRUNTIME_ORT_LIBRARY_H
#define SELVEDGE_ENGINE_ONNXRUNTIME_ORT_LIBRARY_H

#include <onnxruntime/onnxruntime_c_api.h>

#include <string>

#include "base/status.h"

namespace selvedge {

/// The loaded library: lives as long as the process, as does its environment.
struct OrtLibrary {
  const OrtApi* api = nullptr;
  OrtEnv* env = nullptr;
  std::string version;
};

/// Loads lib/libonnxruntime.so.1 of the package at the first call; later calls give the same.
/// @returns WORKLOAD_FAILED when the library is missing or too old, with the loader's reason.
Status loadOrtLibrary(const OrtLibrary** library);

/// Takes the message of a failed call and frees it. @returns true when the call succeeded.
bool ortSucceeded(const OrtApi& api, OrtStatus* status, std::string* message);

}  // namespace selvedge

#endif
