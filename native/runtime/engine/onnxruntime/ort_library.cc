#include "engine/onnxruntime/ort_library.h"

#include <dlfcn.h>

#include "base/package_dir.h"
#include "engine/onnxruntime/quiet_stderr.h"

namespace selvedge {
namespace {

struct LoadedOrt {
  OrtLibrary library;
  std::string error;
};

std::string loaderError() {
  const char* reason = dlerror();
  return reason == nullptr ? "unknown reason" : reason;
}

void load(const std::string& path, LoadedOrt* loaded) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    loaded->error = loaderError();
    return;
  }
  using GetApiBase = const OrtApiBase*(ORT_API_CALL*)();
  const auto getApiBase = reinterpret_cast<GetApiBase>(dlsym(handle, "OrtGetApiBase"));
  if (getApiBase == nullptr) {
    loaded->error = loaderError();
    return;
  }
  const OrtApiBase* base = getApiBase();
  OrtLibrary& library = loaded->library;
  library.version = base->GetVersionString();
  library.api = base->GetApi(ORT_API_VERSION);
  if (library.api == nullptr) {
    loaded->error = "version " + library.version + " is older than the one this package was built with";
    return;
  }
  // Errors only: warnings about optimisations that do not apply are of no use on a device.
  OrtStatus* status = library.api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "selvedge", &library.env);
  ortSucceeded(*library.api, status, &loaded->error);
}

LoadedOrt loadFromPackage() {
  LoadedOrt loaded;
  const std::string path = packageDir() + "/lib/libonnxruntime.so.1";
  runWithoutSchemaErrors([&] { load(path, &loaded); });
  return loaded;
}

}  // namespace

bool ortSucceeded(const OrtApi& api, OrtStatus* status, std::string* message) {
  if (status == nullptr) return true;
  *message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  return false;
}

Status loadOrtLibrary(const OrtLibrary** library) {
  // Once and for the life of the process: loaded again, it would register everything (and complain of it) again.
  static const LoadedOrt loaded = loadFromPackage();
  if (!loaded.error.empty()) return Status::error("WORKLOAD_FAILED", "ONNX Runtime cannot be loaded: " + loaded.error);
  *library = &loaded.library;
  return Status::ok();
}

}  // namespace selvedge
