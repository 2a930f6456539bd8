#include "input/ffmpeg.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "input/wait_readable.h"

namespace selvedge {
namespace {

constexpr int kFirstPauseMs = 1000;
constexpr int kLongestPauseMs = 30'000;
constexpr int kLongestEndMs = 2000;
/// A camera that sends nothing for so long is gone: no packet tells of a cable that was pulled.
constexpr int kLongestSilenceMs = 20'000;
constexpr size_t kMaxComplaintBytes = 4096;
/// Hands over each frame once, instead of as many as a constant rate would have. Two names: since 5.1, and until 8.
constexpr const char* kFrameOption = "-fps_mode";
constexpr const char* kOldFrameOption = "-vsync";

struct Pipe {
  int read = -1, write = -1;
};

bool openPipe(Pipe* made) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  made->read = ends[0];
  made->write = ends[1];
  return true;
}

void closeFd(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/// Looked up here instead of in posix_spawnp(), which cannot tell of a missing program under an emulator.
/// @returns "" when no folder of PATH has it.
std::string findFfmpeg() {
  const char* path = std::getenv("PATH");
  std::string folders = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  for (size_t start = 0; start <= folders.size();) {
    const size_t end = std::min(folders.find(':', start), folders.size());
    const std::string program = (end == start ? "." : folders.substr(start, end - start)) + "/ffmpeg";
    if (access(program.c_str(), X_OK) == 0) return program;
    start = end + 1;
  }
  return "";
}

int spawnFfmpeg(const std::vector<std::string>& words, int output, int complaints, pid_t* pid) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, complaints, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // We ignore SIGPIPE, and a child would inherit that.
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawn(pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

bool startsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

std::vector<std::string> ffmpegWords(const std::string& program, const std::string& address, const char* frameOption) {
  std::vector<std::string> words = {program, "-nostdin", "-loglevel", "error"};
  // Over UDP a lost packet is a grey picture; some cameras have nothing else.
  if (startsWith(address, "rtsp")) words.insert(words.end(), {"-rtsp_flags", "prefer_tcp"});
  words.insert(words.end(), {"-i", address, "-an", "-f", "image2pipe", frameOption, "vfr"});
  // In the encoder's own unit, a frame at the guessed rate, two that follow each other closely would have one time, and it fails.
  words.insert(words.end(), {"-enc_time_base", "1/1000000", "-c:v", "mjpeg", "-q:v", "3", "-"});
  return words;
}

/// One line of ffmpeg without the part of it that speaks: "[mov,mp4 @ 0x55d0] moov atom not found".
std::string withoutSpeaker(const std::string& line) {
  const size_t end = startsWith(line, "[") ? line.find("] ") : std::string::npos;
  return end == std::string::npos ? line : line.substr(end + 2);
}

/// For datagrams there is no connection that could break off.
bool hasConnection(const std::string& address) { return !startsWith(address, "udp:") && !startsWith(address, "rtp:"); }

}  // namespace

std::string withoutCredentials(std::string text) {
  for (size_t scheme = text.find("://"); scheme != std::string::npos; scheme = text.find("://", scheme + 3)) {
    const size_t start = scheme + 3;
    const size_t end = std::min(text.find_first_of("/?# ", start), text.size());
    const size_t at = text.rfind('@', end);
    if (at != std::string::npos && at >= start) text.erase(start, at + 1 - start);
  }
  return text;
}

FfmpegChild::~FfmpegChild() {
  closeFd(&pictures_);
  closeFd(&stderr_);
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Status FfmpegChild::start(const std::string& address, const char* frameOption) {
  const std::string program = findFfmpeg();
  if (program.empty()) {
    return Status::error("SETUP_INCOMPLETE", "Reading " + withoutCredentials(address) + " needs the program ffmpeg, which is not on PATH; install it.");
  }
  Pipe output;
  Pipe complaints;
  int error = openPipe(&output) && openPipe(&complaints) ? 0 : errno;
  if (error == 0) {
    // ffmpeg must never wait for us to read its complaints; those that find no room are lost.
    fcntl(complaints.write, F_SETFL, O_NONBLOCK);
    fcntl(complaints.read, F_SETFL, O_NONBLOCK);
    error = spawnFfmpeg(ffmpegWords(program, address, frameOption), output.write, complaints.write, &pid_);
  }
  closeFd(&output.write);
  closeFd(&complaints.write);
  pictures_ = output.read;
  stderr_ = complaints.read;
  if (error == 0) return Status::ok();
  pid_ = -1;
  return Status::error("SETUP_INCOMPLETE", std::string("ffmpeg cannot be started: ") + std::strerror(error) + ".");
}

void FfmpegChild::readComplaints() {
  char text[1024];
  for (;;) {
    const ssize_t count = read(stderr_, text, sizeof text);
    if (count <= 0) break;
    complaints_.append(text, static_cast<size_t>(count));
    if (complaints_.size() <= kMaxComplaintBytes) continue;
    const size_t firstLine = std::min(complaints_.find('\n') + 1, kMaxComplaintBytes / 2);
    complaints_.erase(firstLine, complaints_.size() - kMaxComplaintBytes);
  }
}

bool FfmpegChild::finish() {
  readComplaints();
  int status = 0;
  // It has closed its output, so it is about to end; one that does not is ended.
  for (int waitedMs = 0; waitpid(pid_, &status, WNOHANG) == 0; waitedMs += 10) {
    if (waitedMs == kLongestEndMs) kill(pid_, SIGKILL);
    poll(nullptr, 0, 10);
  }
  pid_ = -1;
  readComplaints();
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string FfmpegChild::firstComplaint() const { return complaints_.substr(0, complaints_.find_first_of("\r\n")); }

std::string FfmpegChild::lastComplaint() const {
  const size_t end = complaints_.find_last_not_of("\r\n ");
  if (end == std::string::npos) return "";
  const size_t line = complaints_.find_last_of("\r\n", end);
  const size_t start = line == std::string::npos ? 0 : line + 1;
  return complaints_.substr(start, end + 1 - start);
}

VideoSource::VideoSource(std::string address, bool isLive, int stopFd)
    : address_(std::move(address)), name_(withoutCredentials(address_)), isLive_(isLive), stopFd_(stopFd), pauseMs_(kFirstPauseMs), frameOption_(kFrameOption) {
  if (startsWith(name_, "file:")) name_.erase(0, 5);
}

Status VideoSource::open() {
  child_ = std::make_unique<FfmpegChild>();
  if (Status status = child_->start(address_, frameOption_); !status.isOk()) return status;
  const int silenceMs = isLive_ && hasConnection(address_) ? kLongestSilenceMs : -1;
  if (stream_ == nullptr) stream_ = std::make_unique<PictureStream>(child_->pictures(), stopFd_, name_, silenceMs);
  else stream_->restart(child_->pictures());
  return Status::ok();
}

Next VideoSource::reopen(Status* status) {
  *status = open();
  return status->isOk() ? Next::frame : Next::broken;
}

std::string VideoSource::complaint() const {
  const std::string address = withoutCredentials(address_) + ": ";
  const auto plain = [&](const std::string& line) {
    std::string text = withoutCredentials(withoutSpeaker(line));
    // The message begins with the name.
    for (size_t at = text.find(address); at != std::string::npos; at = text.find(address)) text.erase(at, address.size());
    return text;
  };
  const std::string last = plain(child_->lastComplaint());
  // The first is often the cause; of a stream that ran for months it is not.
  const std::string first = isLive_ ? "" : plain(child_->firstComplaint());
  if (first.empty()) return last.empty() ? "ffmpeg says nothing" : last;
  return first.find(last) != std::string::npos ? first : first + "; " + last;
}

Next VideoSource::afterEnd(Status* status) {
  if (waitReadable(-1, stopFd_, 0) == Readiness::stopped) return Next::end;
  const bool good = child_->finish();
  const bool isOld = !good && child_->firstComplaint().find("'fps_mode'") != std::string::npos;
  if (isOld && frameOption_ == kFrameOption) {
    frameOption_ = kOldFrameOption;
    return reopen(status);
  }
  if (isLive_) return connectAgain(good ? "the stream ended" : complaint(), status);
  if (good && child_->firstComplaint().empty()) return Next::end;
  // It goes on behind what it cannot decode, and calls that a success.
  *status = Status::error("INPUT_INVALID", name_ + (good ? ": parts of the video could not be read: " : ": ") + complaint());
  return Next::broken;
}

Next VideoSource::afterSilence(Status* status) {
  child_ = std::make_unique<FfmpegChild>();
  return connectAgain(status->message(), status);
}

Next VideoSource::connectAgain(const std::string& why, Status* status) {
  std::fprintf(stderr, "run: %s broke off (%s); connecting again in %d s\n", name_.c_str(), why.c_str(), pauseMs_ / 1000);
  if (waitReadable(-1, stopFd_, pauseMs_) == Readiness::stopped) return Next::end;
  pauseMs_ = std::min(pauseMs_ * 2, kLongestPauseMs);
  return reopen(status);
}

Next VideoSource::next(Frame* frame, Status* status) {
  for (;;) {
    const Next outcome = stream_->next(frame, status);
    child_->readComplaints();
    const bool isSilent = outcome == Next::broken && std::strcmp(status->code(), "TIMEOUT") == 0;
    if (outcome == Next::frame) pauseMs_ = kFirstPauseMs;
    if (outcome != Next::end && !isSilent) return outcome;
    const Next after = isSilent ? afterSilence(status) : afterEnd(status);
    if (after != Next::frame) return after;
  }
}

}  // namespace selvedge
