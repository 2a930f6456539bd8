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
  /// @returns SETUP_INCOMPLETE when there is no ffmpeg on PATH.
  Status start(const std::string& address);
  int pictures() const { return pictures_; }
  /// Takes what it complained of, so that its pipe never fills up.
  void readComplaints();
  /// Waits for its end. @returns whether it succeeded.
  bool finish();
  /// Its last line on stderr, or a sentence.
  std::string lastComplaint() const;

 private:
  pid_t pid_ = -1;
  int pictures_ = -1;
  int stderr_ = -1;
  std::string complaints_;
};

/// A finite video, or a live one that is connected to again (after 1, 2, 4 .. 30 seconds) whenever it breaks off.
class VideoSource final : public Source {
 public:
  /// @param address - as ffmpeg takes it behind -i.
  VideoSource(std::string address, bool isLive, int stopFd);
  /// Starts the first ffmpeg, so that a missing one is told at once.
  Status open();
  Next next(Frame* frame, Status* status) override;
  bool endless() const override { return isLive_; }

 private:
  Next afterEnd(Status* status);

  std::string address_;
  std::string name_;
  bool isLive_;
  int stopFd_;
  int pauseMs_;
  std::unique_ptr<FfmpegChild> child_;
  std::unique_ptr<PictureStream> stream_;
};

/// The address without user and password, for people.
std::string withoutCredentials(const std::string& address);

}  // namespace selvedge

#endif
