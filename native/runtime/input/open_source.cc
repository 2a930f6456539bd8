#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "input/camera.h"
#include "input/ffmpeg.h"
#include "input/folder_sources.h"
#include "input/latest_source.h"
#include "input/source.h"
#include "input/stream_sources.h"

namespace selvedge {
namespace {

bool startsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

bool hasVideoName(const std::string& path) {
  static const char* const kExtensions[] = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".flv",
                                            ".wmv", ".3gp", ".ogv", ".mjpeg", ".mjpg", ".h264", ".h265", ".hevc", ".y4m", ".gif"};
  const size_t dot = path.rfind('.');
  if (dot == std::string::npos) return false;
  for (const char* extension : kExtensions) {
    if (strcasecmp(path.c_str() + dot, extension) == 0) return true;
  }
  return false;
}

constexpr const char* kLiveSchemes[] = {"rtsp://", "rtsps://", "rtmp://", "rtp://", "udp://", "srt://"};

bool isLiveAddress(const std::string& input) {
  for (const char* scheme : kLiveSchemes) {
    if (startsWith(input, scheme)) return true;
  }
  return false;
}

template <class Opened>
Status take(std::unique_ptr<Opened> opened, std::unique_ptr<Source>* source) {
  Status status = opened->open();
  if (status.isOk()) *source = std::move(opened);
  return status;
}

/// Opens it behind a LatestSource. @param make - gets the descriptor to wait for.
template <class Make>
Status takeLive(int stopFd, Make make, std::unique_ptr<Source>* source) {
  auto latest = std::make_unique<LatestSource>(stopFd);
  auto inner = make(latest->innerStopFd());
  if (Status status = inner->open(); !status.isOk()) return status;
  latest->start(std::move(inner));
  *source = std::move(latest);
  return Status::ok();
}

Status openAddress(const std::string& input, int stopFd, std::unique_ptr<Source>* source) {
  for (const char* scheme : {"http://", "https://"}) {
    if (startsWith(input, scheme)) return take(std::make_unique<VideoSource>(input, false, stopFd), source);
  }
  if (isLiveAddress(input)) {
    return takeLive(stopFd, [&](int innerStop) { return std::make_unique<VideoSource>(input, true, innerStop); }, source);
  }
  return Status::error("USAGE", withoutCredentials(input) + ": this kind of address is not read; use http, https, rtsp, rtmp, rtp, udp or srt.");
}

Status openPath(const std::string& input, const SourceOptions& options, std::unique_ptr<Source>* source) {
  struct stat facts = {};
  const bool exists = stat(input.c_str(), &facts) == 0;
  if (exists && S_ISDIR(facts.st_mode)) {
    std::string folder = input;
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    if (options.watch) return take(std::make_unique<WatchedFolder>(folder, options.stopFd), source);
    return take(std::make_unique<FolderSource>(folder), source);
  }
  if (options.watch) return Status::error("USAGE", input + " is not a folder; --watch watches folders.");
  if (exists && S_ISCHR(facts.st_mode)) {
    return Status::error("USAGE", input + " is a device; for a camera write camera:" + input + ".");
  }
  if (exists && hasVideoName(input)) {
    // "file:" keeps ffmpeg from taking a name with a colon for an address.
    return take(std::make_unique<VideoSource>("file:" + input, false, options.stopFd), source);
  }
  *source = std::make_unique<FileSource>(input);
  return Status::ok();
}

}  // namespace

bool isEndless(const std::string& input, bool watch) { return watch || startsWith(input, "camera:") || isLiveAddress(input); }

Status openSource(const std::string& input, const SourceOptions& options, std::unique_ptr<Source>* source) {
  if (input == "-") {
    *source = std::make_unique<PictureStream>(STDIN_FILENO, options.stopFd, "stdin");
    return Status::ok();
  }
  if (startsWith(input, "raw:")) {
    int width = 0;
    int height = 0;
    if (!parseSize(input.substr(4), &width, &height)) return Status::error("USAGE", input + ": write raw:WIDTHxHEIGHT, e.g. raw:640x480.");
    *source = std::make_unique<RawStream>(STDIN_FILENO, options.stopFd, "stdin", width, height);
    return Status::ok();
  }
  if (startsWith(input, "camera:")) {
    CameraOptions camera;
    if (!parseCamera(input.substr(7), &camera)) return Status::error("USAGE", input + ": write camera:/dev/video0 or camera:/dev/video0@1280x720.");
    return takeLive(options.stopFd, [&](int innerStop) { return std::make_unique<Camera>(camera, innerStop); }, source);
  }
  if (input.find("://") != std::string::npos) return openAddress(input, options.stopFd, source);
  return openPath(input, options, source);
}

}  // namespace selvedge
