// exec_timer RUNS PROGRAM ARGUMENTS...: a JSON line per run: ms until the first byte on its stdout, its largest memory and page
// faults, and what such a fault costs on this machine (0.1 microseconds on some, 12 on others: then it is most of the time).
// A small static program, because a child's figure begins with the memory of the process that it came from.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
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

/// Microseconds of the first write to a page; -1 when it cannot be measured.
double pageFaultUs() {
  constexpr size_t kBytes = 16 << 20;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return -1;
  const double start = nowMs();
  for (size_t at = 0; at < kBytes; at += page) static_cast<volatile char*>(memory)[at] = 1;
  const double us = (nowMs() - start) * 1000 / static_cast<double>(kBytes / page);
  munmap(memory, kBytes);
  return us;
}

int once(char** words, double faultUs) {
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
  std::printf("{\"ok\":%s,\"ms\":%.3f,\"rssKib\":%ld,\"faults\":%ld,\"faultUs\":%.3f}\n", isGood ? "true" : "false", ms, usage.ru_maxrss, usage.ru_minflt,
              faultUs);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const double faultUs = pageFaultUs();
  for (int left = std::atoi(argv[1]); left > 0; --left) {
    if (once(argv + 2, faultUs) != 0) return 1;
  }
  return 0;
}
