// exec_timer RUNS PROGRAM ARGUMENTS...: a JSON line per run: ms until the first byte on its stdout, and its largest memory.
// A small static program, because a child's figure begins with the memory of the process that it came from.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

double nowMs() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int once(char** words) {
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return 1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const double start = nowMs();
  if (posix_spawn(&pid, words[0], &actions, nullptr, words, environ) != 0) return 1;
  posix_spawn_file_actions_destroy(&actions);
  close(output[1]);
  char bytes[4096];
  const bool answered = read(output[0], bytes, sizeof bytes) > 0;
  const double ms = nowMs() - start;
  while (read(output[0], bytes, sizeof bytes) > 0) {
  }
  close(output[0]);
  int status = 0;
  rusage usage{};
  if (wait4(pid, &status, 0, &usage) != pid) return 1;
  const bool isGood = answered && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  std::printf("{\"ok\":%s,\"ms\":%.3f,\"rssKib\":%ld}\n", isGood ? "true" : "false", ms, usage.ru_maxrss);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  for (int left = std::atoi(argv[1]); left > 0; --left) {
    if (once(argv + 2) != 0) return 1;
  }
  return 0;
}
