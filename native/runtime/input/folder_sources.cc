#include "input/folder_sources.h"

#include <dirent.h>
#include <strings.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "input/read_file.h"
#include "input/wait_readable.h"

namespace selvedge {
namespace {

bool isPictureName(const std::string& name) {
  if (name.empty() || name[0] == '.') return false;
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  const char* extension = name.c_str() + dot;
  return strcasecmp(extension, ".jpg") == 0 || strcasecmp(extension, ".jpeg") == 0 || strcasecmp(extension, ".png") == 0;
}

Status listPictures(const std::string& folder, std::deque<std::string>* names) {
  names->clear();
  DIR* directory = opendir(folder.c_str());
  if (directory == nullptr) return Status::error("FILE_UNREADABLE", folder + ": " + std::strerror(errno) + ".");
  while (const dirent* entry = readdir(directory)) {
    if (isPictureName(entry->d_name)) names->emplace_back(entry->d_name);
  }
  closedir(directory);
  std::sort(names->begin(), names->end());
  return Status::ok();
}

Next readPicture(const std::string& path, Frame* frame, Status* status) {
  frame->name = path;
  frame->decoded = false;
  *status = readFile(path, kMaxPictureBytes, &frame->encoded);
  return status->isOk() ? Next::frame : Next::fault;
}

}  // namespace

Next FileSource::next(Frame* frame, Status* status) {
  if (done_) return Next::end;
  done_ = true;
  return readPicture(path_, frame, status);
}

Status FolderSource::open() { return listPictures(folder_, &names_); }

Next FolderSource::next(Frame* frame, Status* status) {
  if (names_.empty()) return Next::end;
  const std::string path = folder_ + "/" + names_.front();
  names_.pop_front();
  return readPicture(path, frame, status);
}

WatchedFolder::~WatchedFolder() {
  if (inotify_ >= 0) close(inotify_);
}

Status WatchedFolder::open() {
  inotify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  // Watch first, list second: what comes in between is then in both, and told apart by its stamp.
  constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  if (inotify_ < 0 || inotify_add_watch(inotify_, folder_.c_str(), kEvents) < 0) {
    return Status::error("FILE_UNREADABLE", folder_ + " cannot be watched: " + std::strerror(errno) + ".");
  }
  return list();
}

Status WatchedFolder::list() { return listPictures(folder_, &names_); }

bool WatchedFolder::isFresh(const std::string& name) {
  struct stat facts = {};
  if (stat((folder_ + "/" + name).c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return false;
  Stamp stamp;
  stamp.inode = static_cast<uint64_t>(facts.st_ino);
  stamp.modifiedS = facts.st_mtim.tv_sec;
  stamp.modifiedNs = facts.st_mtim.tv_nsec;
  stamp.size = facts.st_size;
  const auto found = seen_.find(name);
  if (found != seen_.end() && found->second == stamp) return false;
  seen_[name] = stamp;
  return true;
}

bool WatchedFolder::readEvents() {
  alignas(inotify_event) char buffer[16 * 1024];
  const ssize_t count = read(inotify_, buffer, sizeof buffer);
  for (ssize_t at = 0; at < count;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) return false;
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
      // Events were lost: look at everything again, the stamps tell what was seen.
      if (!list().isOk()) return false;
      continue;
    }
    if (event->len == 0 || !isPictureName(event->name)) continue;
    if ((event->mask & (IN_DELETE | IN_MOVED_FROM)) != 0) seen_.erase(event->name);
    else names_.emplace_back(event->name);
  }
  return true;
}

Next WatchedFolder::next(Frame* frame, Status* status) {
  for (;;) {
    while (!names_.empty()) {
      if (waitReadable(-1, stopFd_, 0) == Readiness::stopped) return Next::end;
      const std::string name = names_.front();
      names_.pop_front();
      if (isFresh(name)) return readPicture(folder_ + "/" + name, frame, status);
    }
    if (waitReadable(inotify_, stopFd_, -1) == Readiness::stopped) return Next::end;
    if (readEvents()) continue;
    *status = Status::error("FILE_UNREADABLE", folder_ + ": the watched folder is gone.");
    return Next::broken;
  }
}

}  // namespace selvedge
