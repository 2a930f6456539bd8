#include "input/wait_readable.h"

#include <poll.h>

namespace selvedge {

Readiness waitReadable(int fd, int stopFd, int timeoutMs) {
  for (;;) {
    // poll() passes over negative descriptors.
    pollfd polled[2] = {{fd, POLLIN, 0}, {stopFd, POLLIN, 0}};
    const int count = poll(polled, 2, timeoutMs);
    if (polled[1].revents != 0) return Readiness::stopped;
    if (count == 0) return Readiness::timeout;
    if (count > 0) return Readiness::ready;
    // Interrupted by a signal: if it asks to stop, stopFd is readable now.
  }
}

}  // namespace selvedge
