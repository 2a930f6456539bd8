#include "app/stop_signal.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "input/wait_readable.h"

namespace selvedge {
namespace {

/// A signal handler has no other way to know it. Written once, before the handler is installed.
std::atomic<int> signalled{-1};

void onSignal(int) {
  const int saved = errno;
  // Not eventfd_write(): only write() is known to be safe in a handler.
  const uint64_t one = 1;
  if (write(signalled.load(), &one, sizeof one) < 0) _exit(130);
  errno = saved;
}

}  // namespace

int openStopSignal() {
  signalled = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action = {};
  action.sa_handler = onSignal;
  // The second signal has the default effect.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return signalled;
}

bool isStopped(int stopFd) { return waitReadable(-1, stopFd, 0) == Readiness::stopped; }

}  // namespace selvedge
