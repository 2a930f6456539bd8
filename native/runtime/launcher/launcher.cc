// `run` of a package that brings its own C library: starts the real executable with the loader and the libraries of the
// package, whatever the device has or lacks. Static, so that it runs everywhere itself.
//
// SELVEDGE_LOADER is the loader's path below the package, e.g. "lib/ld-linux-armhf.so.3".
#include <sys/auxv.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

/// Folder of this executable, links followed: the loader and the libraries lie beside the file itself.
std::string ownFolder() {
  const char* started = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (started == nullptr) return ".";
  char resolved[PATH_MAX];
  const std::string path = realpath(started, resolved) == nullptr ? started : resolved;
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = ownFolder();
  const std::string loader = folder + "/" SELVEDGE_LOADER;
  const std::string libraries = folder + "/lib";
  const std::string program = libraries + "/selvedge-run";
  if (setenv("SELVEDGE_PACKAGE_DIR", folder.c_str(), 1) != 0) return 1;
  // What the surroundings preload or point to is made for another C library.
  unsetenv("LD_PRELOAD");
  unsetenv("LD_LIBRARY_PATH");
  unsetenv("LD_AUDIT");

  const char* name = argc > 0 ? argv[0] : "run";
  // Without the host's cache of libraries: what is not in the package is a fault of the package.
  std::vector<const char*> arguments = {loader.c_str(), "--inhibit-cache", "--library-path", libraries.c_str(),
                                        "--argv0",      name,              program.c_str()};
  for (int i = 1; i < argc; ++i) arguments.push_back(argv[i]);
  arguments.push_back(nullptr);
  execv(loader.c_str(), const_cast<char* const*>(arguments.data()));
  // A foreign executable in a user-mode emulator, a path or a name: the kernel cannot start the loader by itself.
  const char* emulator = std::getenv("SELVEDGE_EMULATOR");
  if (errno == ENOEXEC && emulator != nullptr) {
    arguments.insert(arguments.begin(), emulator);
    execvp(emulator, const_cast<char* const*>(arguments.data()));
  }
  std::fprintf(stderr, "run: %s could not be started: %s\n", loader.c_str(), std::strerror(errno));
  if (errno == ENOEXEC) std::fputs("hint: in an emulator, name it in SELVEDGE_EMULATOR\n", stderr);
  return 1;
}
