#include "app/own_folder.h"

#include <limits.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/package_dir.h"

namespace selvedge {
namespace {

bool hasManifest(const std::string& folder) { return access((folder + "/manifest.json").c_str(), F_OK) == 0; }

std::string folderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// @returns whether `path` was a link and is now what it points to.
bool followLink(std::string* path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path->c_str(), target, sizeof target);
  if (length <= 0 || static_cast<size_t>(length) >= sizeof target) return false;
  const std::string text(target, static_cast<size_t>(length));
  *path = text[0] == '/' ? text : folderOf(*path) + "/" + text;
  return true;
}

}  // namespace

std::string ownFolder() {
  const std::string folder = packageDir();
  if (hasManifest(folder)) return folder;
  constexpr int kMaxLinks = 16;
  const char* started = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  std::string path = started == nullptr ? "" : started;
  for (int links = 0; links < kMaxLinks && followLink(&path); ++links) {
    if (hasManifest(folderOf(path))) return folderOf(path);
  }
  // Started through a descriptor (fexecve): only the kernel's own link tells.
  path = "/proc/self/exe";
  if (followLink(&path) && hasManifest(folderOf(path))) return folderOf(path);
  return folder;
}

}  // namespace selvedge
