// SIGINT and SIGTERM as something that can be waited for.
#ifndef SELVEDGE_APP_STOP_SIGNAL_H
#define SELVEDGE_APP_STOP_SIGNAL_H

namespace selvedge {

/// Takes SIGINT and SIGTERM over; a second one ends the process at once. Call once.
/// @returns a descriptor that is readable from the first signal on.
int openStopSignal();

/// Whether that signal came.
bool isStopped(int stopFd);

}  // namespace selvedge

#endif
