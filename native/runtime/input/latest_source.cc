#include "input/latest_source.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "input/wait_readable.h"

namespace selvedge {

LatestSource::LatestSource(int stopFd)
    : stopFd_(stopFd), innerStop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), filled_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

LatestSource::~LatestSource() {
  eventfd_write(innerStop_, 1);
  if (thread_.joinable()) thread_.join();
  close(innerStop_);
  close(filled_);
}

void LatestSource::start(std::unique_ptr<Source> inner) {
  inner_ = std::move(inner);
  thread_ = std::thread([this] { readAll(); });
}

void LatestSource::readAll() {
  Frame frame;
  for (Next kind = Next::frame; kind == Next::frame || kind == Next::fault;) {
    Status status;
    kind = inner_->next(&frame, &status);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (isFull_) dropped_ += 1;
    std::swap(slot_, frame);
    slotStatus_ = std::move(status);
    slotKind_ = kind;
    isFull_ = true;
    eventfd_write(filled_, 1);
  }
}

Next LatestSource::next(Frame* frame, Status* status) {
  if (waitReadable(filled_, stopFd_, -1) == Readiness::stopped) return Next::end;
  const std::lock_guard<std::mutex> lock(mutex_);
  // The last word (end, broken) stays in the slot for whoever asks again.
  const bool isLast = slotKind_ == Next::end || slotKind_ == Next::broken;
  std::swap(*frame, slot_);
  *status = slotStatus_;
  if (isLast) return slotKind_;
  isFull_ = false;
  eventfd_t count = 0;
  eventfd_read(filled_, &count);
  return slotKind_;
}

uint64_t LatestSource::dropped() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return dropped_;
}

}  // namespace selvedge
