// The folder of the package that this executable belongs to.
#ifndef SELVEDGE_APP_OWN_FOLDER_H
#define SELVEDGE_APP_OWN_FOLDER_H

#include <string>

namespace selvedge {

/// Folder with manifest.json, also when the executable was started through a symbolic link to it. Needs neither /proc nor
/// /dev. Ask before the working folder changes.
std::string ownFolder();

}  // namespace selvedge

#endif
