// Videos and network cameras, decoded by an ffmpeg process of its own that hands over JPEGs.
#ifndef SELVEDGE_INPUT_FFMPEG_H
#define SELVEDGE_INPUT_FFMPEG_H

#include <sys/types.h>

#include <memory>
#include <string>

#include "input/source.h"
#include "input/stream_sources.h"

namespace selvedge {

/// A running ffmpeg; killed with the object.
class FfmpegChild {
 public:
  ~FfmpegChild();
  /// @param frameOption - the name that this ffmpeg has for what it does about frames and time.
  /// @returns SETUP_INCOMPLETE when there is no ffmpeg on PATH.
  Status start(const std::string& address, const char* frameOption);
  int pictures() const { return pictures_; }
  /// Takes what it complained of, so that its pipe never fills up.
  void readComplaints();
  /// Waits for its end. @returns whether it succeeded.
  bool finish();
  /// Its first line on stderr; "" when there is none.
  std::string firstComplaint() const;
  std::string lastComplaint() const;

 private:
  pid_t pid_ = -1;
  int pictures_ = -1;
  int stderr_ = -1;
  /// The first line and the last ones.
  std::string complaints_;
};

/// A finite video, or a live one that is connected to again (after 1, 2, 4 .. 30 seconds) whenever it breaks off or falls
/// silent. Each frame comes once, whatever the time between
/// them is. A finite video with parts that cannot be decoded gives the others, and
/// is `broken` at its end.
class VideoSource final : public Source {
 public:
  /// @param address - as ffmpeg takes it behind -i.
  VideoSource(std::string address, bool isLive, int stopFd);
  /// Starts the first ffmpeg, so that a missing one is told at once.
  Status open();
  Next next(Frame* frame, Status* status) override;
  bool endless() const override { return isLive_; }

 private:
  // These return `frame` when a new ffmpeg runs.
  Next afterEnd(Status* status);
  Next afterSilence(Status* status);
  Next connectAgain(const std::string& why, Status* status);
  Next reopen(Status* status);
  /// What ffmpeg said, for people.
  std::string complaint() const;

  std::string address_;
  std::string name_;
  bool isLive_;
  int stopFd_;
  int pauseMs_;
  const char* frameOption_;
  std::unique_ptr<FfmpegChild> child_;
  std::unique_ptr<PictureStream> stream_;
};

/// The text without user and password in its addresses, for people.
std::string withoutCredentials(std::string text);

}  // namespace selvedge

#endif
