#include "app/cold_start.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace selvedge {
namespace {

constexpr int kStarts = 3;
/// A start that takes longer is given up.
constexpr int kLongestMs = 60'000;

using Clock = std::chrono::steady_clock;

double msSince(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

int spawnRun(const std::vector<std::string>& words, int input, int output, pid_t* pid) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  const int error = posix_spawn(pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/// Feeds the picture while waiting for the first byte of the answer: the pipe may hold less than the picture.
bool exchange(int* input, int output, const std::vector<uint8_t>& picture, Clock::time_point start) {
  fcntl(*input, F_SETFL, O_NONBLOCK);
  size_t sent = 0;
  for (;;) {
    pollfd polled[2] = {{output, POLLIN, 0}, {*input, POLLOUT, 0}};
    const int left = kLongestMs - static_cast<int>(msSince(start));
    if (left <= 0 || (poll(polled, 2, left) < 0 && errno != EINTR)) return false;
    if (polled[0].revents != 0) {
      char first = 0;
      return read(output, &first, 1) == 1;
    }
    if (polled[1].revents == 0) continue;
    const ssize_t count = write(*input, picture.data() + sent, picture.size() - sent);
    if (count > 0) sent += static_cast<size_t>(count);
    const bool failed = count < 0 && errno != EAGAIN && errno != EINTR;
    if (failed || sent == picture.size()) {
      close(*input);
      // Negative: poll() passes over it.
      *input = -1;
    }
  }
}

std::optional<double> startOnce(const std::vector<std::string>& words, const std::vector<uint8_t>& picture) {
  int in[2] = {-1, -1};
  int out[2] = {-1, -1};
  std::optional<double> taken;
  if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0) {
    pid_t pid = -1;
    const Clock::time_point start = Clock::now();
    if (spawnRun(words, in[0], out[1], &pid) == 0) {
      close(in[0]);
      close(out[1]);
      in[0] = out[1] = -1;
      const bool answered = exchange(&in[1], out[0], picture, start);
      const double ms = msSince(start);
      if (!answered) kill(pid, SIGKILL);
      int status = 0;
      while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
      }
      // A line with an error is no result: the exit code tells.
      if (answered && WIFEXITED(status) && WEXITSTATUS(status) == 0) taken = ms;
    }
  }
  for (const int fd : {in[0], in[1], out[0], out[1]}) {
    if (fd >= 0) close(fd);
  }
  return taken;
}

}  // namespace

std::optional<double> measureColdStart(const Arguments& arguments, const std::string& folder, const std::vector<uint8_t>& picture) {
  std::vector<std::string> words = {folder + "/run", "--input", "-", "--threads", std::to_string(arguments.threads)};
  if (!arguments.modelPath.empty()) words.insert(words.end(), {"--model", arguments.modelPath});
  std::vector<double> taken;
  for (int start = 0; start < kStarts; ++start) {
    const std::optional<double> ms = startOnce(words, picture);
    if (!ms) return std::nullopt;
    taken.push_back(*ms);
  }
  std::sort(taken.begin(), taken.end());
  return taken[taken.size() / 2];
}

}  // namespace selvedge
