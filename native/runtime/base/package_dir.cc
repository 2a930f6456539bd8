#include "base/package_dir.h"

#include <sys/auxv.h>

#include <cstdlib>

namespace selvedge {

std::string packageDir() {
#ifdef SELVEDGE_BUNDLED_LOADER
  const char* folder = std::getenv("SELVEDGE_PACKAGE_DIR");
  if (folder != nullptr && folder[0] != '\0') return folder;
#endif
  const char* file = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (file == nullptr) return ".";
  const std::string path = file;
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace selvedge
