#include "engine/onnxruntime/quiet_stderr.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <thread>

namespace selvedge {
namespace {

constexpr int kStderr = 2;
/// A longer line is passed on in pieces: memory stays bounded.
constexpr size_t kMaxLine = 64 * 1024;
constexpr const char kNoise[] = "Schema error: ";

void writeAll(int file, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = write(file, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nobody reads standard error: nothing to tell, and nobody to tell it
    data += written;
    size -= static_cast<size_t>(written);
  }
}

/// Tells the lines of a message from other text: a message ends with an empty line.
class SchemaErrorFilter {
 public:
  explicit SchemaErrorFilter(int out) : out_(out) {}

  void add(const char* data, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      line_.push_back(data[i]);
      if (data[i] == '\n' || line_.size() >= kMaxLine) endLine();
    }
  }

  void endLine() {
    const bool noise = line_.rfind(kNoise, 0) == 0;
    const bool rest = afterNoise_ && line_ == "\n";
    if (!noise && !rest) writeAll(out_, line_.data(), line_.size());
    afterNoise_ = noise;
    line_.clear();
  }

 private:
  int out_;
  std::string line_;
  bool afterNoise_ = false;
};

void pump(int in, int out) {
  SchemaErrorFilter filter(out);
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(in, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    filter.add(buffer, static_cast<size_t>(count));
  }
  filter.endLine();
}

}  // namespace

void runWithoutSchemaErrors(const std::function<void()>& work) {
  // One at a time: standard error must be given back in the order in which it was taken.
  static std::mutex turn;
  const std::lock_guard<std::mutex> lock(turn);
  int ends[2];
  const int original = fcntl(kStderr, F_DUPFD_CLOEXEC, 3);
  if (original < 0 || pipe2(ends, O_CLOEXEC) != 0) {
    if (original >= 0) close(original);
    work();
    return;
  }
  std::thread reader(pump, ends[0], original);
  dup2(ends[1], kStderr);
  close(ends[1]);
  work();
  dup2(original, kStderr);  // closes the last writing end: the reader finishes
  reader.join();
  close(ends[0]);
  close(original);
}

}  // namespace selvedge
