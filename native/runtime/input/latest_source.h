// Keeps up with a live source: a thread takes every frame, and the consumer gets the newest one.
#ifndef SELVEDGE_INPUT_LATEST_SOURCE_H
#define SELVEDGE_INPUT_LATEST_SOURCE_H

#include <memory>
#include <mutex>
#include <thread>

#include "input/source.h"

namespace selvedge {

/// Invariant: at most one frame waits; a newer one replaces it, which counts as dropped.
class LatestSource final : public Source {
 public:
  explicit LatestSource(int stopFd);
  ~LatestSource() override;
  /// What the inner source has to wait for besides its own descriptor.
  int innerStopFd() const { return innerStop_; }
  /// Starts the thread.
  void start(std::unique_ptr<Source> inner);
  Next next(Frame* frame, Status* status) override;
  bool endless() const override { return true; }
  uint64_t dropped() const override;

 private:
  void readAll();

  int stopFd_;
  /// eventfd: stops the thread.
  int innerStop_ = -1;
  /// eventfd: something waits in the slot.
  int filled_ = -1;
  std::unique_ptr<Source> inner_;
  std::thread thread_;
  mutable std::mutex mutex_;
  Frame slot_;
  Status slotStatus_;
  Next slotKind_ = Next::frame;
  bool isFull_ = false;
  uint64_t dropped_ = 0;
};

}  // namespace selvedge

#endif
