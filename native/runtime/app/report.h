// The one line that goes with a failure.
#ifndef SELVEDGE_APP_REPORT_H
#define SELVEDGE_APP_REPORT_H

#include "base/status.h"

namespace selvedge {

/// Prints "run: MESSAGE [CODE]" on stderr, on one line whatever the message is. @returns the exit code.
int report(const Status& status);

}  // namespace selvedge

#endif
