// Where the package lies that this executable belongs to.
#ifndef SELVEDGE_BASE_PACKAGE_DIR_H
#define SELVEDGE_BASE_PACKAGE_DIR_H

#include <string>

namespace selvedge {

/// Folder with manifest.json, without a slash at the end ("." when the executable was started from its own folder by a
/// path without one). Told by the kernel, so that /proc is not needed; relative when the executable was started by a
/// relative path: ask before anything changes the working folder.
///
/// In a package with its own loader the kernel knows the loader only. There the launcher (`run`) passes the folder in the
/// variable SELVEDGE_PACKAGE_DIR; no other executable looks at it, so that a child of one package is not taken for it.
std::string packageDir();

}  // namespace selvedge

#endif
