#include "serve/channel_output.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "serve/log.h"

namespace selvedge::serve {

namespace {

/// As Node does it.
constexpr int kMaxResent = 3;

ssize_t sendWith(int channel, const std::string& bytes, int socket) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (socket >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof socket);
    std::memcpy(CMSG_DATA(header), &socket, sizeof socket);
  }
  return sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

ChannelOutput::ChannelOutput(event_base* base, int fd) : fd_(fd), writeEvent_(event_new(base, fd, EV_WRITE | EV_PERSIST, onWritable, this)) {}

ChannelOutput::~ChannelOutput() {
  event_free(writeEvent_);
  breakOff();
}

void ChannelOutput::send(const std::string& json) {
  held_.push_back({json + '\n', -1});
  advance();
}

void ChannelOutput::sendSocket(const std::string& json, int socket) {
  held_.push_back({"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":" + json + "}\n", socket});
  advance();
}

void ChannelOutput::acknowledge(bool hasCome) {
  output_.push_back({hasCome ? "{\"cmd\":\"NODE_HANDLE_ACK\"}\n" : "{\"cmd\":\"NODE_HANDLE_NACK\"}\n", -1});
  write();
}

void ChannelOutput::acknowledged(bool hasCome) {
  if (underWay_.socket < 0) return;
  if (hasCome) {
    closeSocketUnderWay();
  } else if (resent_++ < kMaxResent) {
    output_.push_back(underWay_);
  } else {
    logLine("warn", "the agent did not get a connection that was given back");
    closeSocketUnderWay();
  }
  advance();
}

void ChannelOutput::whenHandedOver(std::function<void()> then) {
  handedOver_ = std::move(then);
  advance();
}

/// Sends what does not have to wait any more.
void ChannelOutput::advance() {
  if (isBroken_) breakOff();
  while (underWay_.socket < 0 && !held_.empty()) {
    output_.push_back(std::move(held_.front()));
    held_.pop_front();
    if (output_.back().socket < 0) continue;
    underWay_ = output_.back();
    resent_ = 0;
  }
  write();
  if (underWay_.socket < 0 && held_.empty() && handedOver_ != nullptr) std::exchange(handedOver_, nullptr)();
}

void ChannelOutput::onWritable(evutil_socket_t, short, void* self) { static_cast<ChannelOutput*>(self)->write(); }

void ChannelOutput::write() {
  while (!output_.empty()) {
    Line& line = output_.front();
    const ssize_t size = sendWith(fd_, line.bytes, line.socket);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) {
      event_add(writeEvent_, nullptr);
      return;
    }
    if (size < 0 && errno == ETOOMANYREFS && line.socket >= 0) {
      line.socket = -1;  // too many sockets are under way on this machine: the other end says that it did not come
      continue;
    }
    if (size < 0) {
      breakOff();  // the other end is closed; reading tells
      break;
    }
    line.socket = -1;
    line.bytes.erase(0, static_cast<size_t>(size));
    if (line.bytes.empty()) output_.pop_front();
  }
  event_del(writeEvent_);
}

void ChannelOutput::closeSocketUnderWay() {
  if (underWay_.socket >= 0) close(underWay_.socket);
  underWay_ = {"", -1};
}

/// Nothing can be sent any more: nobody will take the sockets.
void ChannelOutput::breakOff() {
  isBroken_ = true;
  output_.clear();
  closeSocketUnderWay();
  for (const Line& line : held_)
    if (line.socket >= 0) close(line.socket);
  held_.clear();
}

void ChannelOutput::flush() {
  for (int tries = 0; !output_.empty() && tries < 10; ++tries) {
    pollfd writable{fd_, POLLOUT, 0};
    poll(&writable, 1, 100);
    write();
  }
}

}  // namespace selvedge::serve
