// Pictures that are files: one, those of a folder, or those that come into a folder.
#ifndef SELVEDGE_INPUT_FOLDER_SOURCES_H
#define SELVEDGE_INPUT_FOLDER_SOURCES_H

#include <sys/stat.h>

#include <deque>
#include <map>
#include <string>

#include "input/source.h"

namespace selvedge {

class FileSource final : public Source {
 public:
  explicit FileSource(std::string path) : path_(std::move(path)) {}
  Next next(Frame* frame, Status* status) override;

 private:
  std::string path_;
  bool done_ = false;
};

/// The pictures (.jpg, .jpeg, .png; no hidden ones) right in a folder, by name.
class FolderSource final : public Source {
 public:
  explicit FolderSource(std::string folder) : folder_(std::move(folder)) {}
  Status open();
  Next next(Frame* frame, Status* status) override;

 private:
  std::string folder_;
  std::deque<std::string> names_;
};

/// Those that are there, then each one that is written or moved into the folder, once it is closed.
class WatchedFolder final : public Source {
 public:
  WatchedFolder(std::string folder, int stopFd) : folder_(std::move(folder)), stopFd_(stopFd) {}
  ~WatchedFolder() override;
  Status open();
  Next next(Frame* frame, Status* status) override;
  bool endless() const override { return true; }

 private:
  /// Tells a file that was seen from a new one under its name.
  struct Stamp {
    uint64_t inode = 0;
    int64_t modifiedS = 0, modifiedNs = 0, size = 0;
    bool operator==(const Stamp& other) const {
      return inode == other.inode && modifiedS == other.modifiedS && modifiedNs == other.modifiedNs && size == other.size;
    }
  };

  Status list();
  bool isFresh(const std::string& name);
  /// @returns whether the folder is still there.
  bool readEvents();

  std::string folder_;
  int stopFd_;
  int inotify_ = -1;
  std::deque<std::string> names_;
  /// Of the files that lie in the folder now.
  std::map<std::string, Stamp> seen_;
};

}  // namespace selvedge

#endif
