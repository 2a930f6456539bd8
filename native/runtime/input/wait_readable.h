// Waits for a file descriptor or for the wish to stop.
#ifndef SELVEDGE_INPUT_WAIT_READABLE_H
#define SELVEDGE_INPUT_WAIT_READABLE_H

namespace selvedge {

enum class Readiness { ready, stopped, timeout };

/// @param fd - -1: only the wish to stop and the timeout are waited for.
/// @param timeoutMs - -1: for ever.
Readiness waitReadable(int fd, int stopFd, int timeoutMs);

}  // namespace selvedge

#endif
