#include "input/read_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace selvedge {
namespace {

Status unreadable(const std::string& path, const char* why) {
  return Status::error("FILE_UNREADABLE", path + ": " + why + ".");
}

Status readOpen(int file, const std::string& path, size_t maxBytes, std::vector<uint8_t>* bytes) {
  struct stat facts = {};
  if (fstat(file, &facts) != 0) return unreadable(path, std::strerror(errno));
  if (S_ISDIR(facts.st_mode)) return unreadable(path, "is a folder");
  if (!S_ISREG(facts.st_mode)) return unreadable(path, "is not a regular file");
  if (facts.st_size < 0 || static_cast<uint64_t>(facts.st_size) > maxBytes) {
    return Status::error("PAYLOAD_TOO_LARGE", path + ": is larger than " + std::to_string(maxBytes >> 20) + " MiB.");
  }
  bytes->resize(static_cast<size_t>(facts.st_size));
  size_t done = 0;
  while (done < bytes->size()) {
    const ssize_t count = read(file, bytes->data() + done, bytes->size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unreadable(path, std::strerror(errno));
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  bytes->resize(done);
  return Status::ok();
}

}  // namespace

Status readFile(const std::string& path, size_t maxBytes, std::vector<uint8_t>* bytes) {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return unreadable(path, std::strerror(errno));
  Status status = readOpen(file, path, maxBytes, bytes);
  close(file);
  return status;
}

}  // namespace selvedge
