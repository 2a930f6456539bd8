#include "serve/agent_channel.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/json_document.h"
#include "serve/log.h"

namespace selvedge::serve {

namespace {

/// The agent's messages are short; more without a newline is not from it.
constexpr size_t kMaxLineBytes = 64 * 1024;
constexpr size_t kMaxHandles = 16;

}  // namespace

AgentChannel::AgentChannel(event_base* base, int fd, AgentOrders* orders)
    : fd_(fd),
      orders_(orders),
      readEvent_(event_new(base, fd, EV_READ | EV_PERSIST, onReadable, this)),
      writeEvent_(event_new(base, fd, EV_WRITE | EV_PERSIST, onWritable, this)) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  event_add(readEvent_, nullptr);
}

AgentChannel::~AgentChannel() {
  event_free(readEvent_);
  event_free(writeEvent_);
  for (int handle : handles_) close(handle);
  close(fd_);
}

void AgentChannel::onReadable(evutil_socket_t, short, void* self) {
  auto* channel = static_cast<AgentChannel*>(self);
  if (channel->receive()) return;
  event_del(channel->readEvent_);
  channel->orders_->parentGone();
}

bool AgentChannel::receive() {
  char text[16 * 1024];
  iovec part{text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxHandles * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < count; ++index) {
      int handle = -1;
      std::memcpy(&handle, CMSG_DATA(header) + index * sizeof(int), sizeof handle);
      handles_.push_back(handle);
    }
  }
  if (size == 0) return false;
  input_.append(text, static_cast<size_t>(size));
  size_t from = 0;
  for (size_t end = input_.find('\n'); end != std::string::npos; end = input_.find('\n', from)) {
    obey(input_.substr(from, end - from));
    from = end + 1;
  }
  input_.erase(0, from);
  return input_.size() <= kMaxLineBytes;
}

/// One line: a message of the agent, or one of Node's own that wraps it, or is none of our business.
void AgentChannel::obey(const std::string& line) {
  rapidjson::Document message;
  if (!parseObject(line.data(), line.size(), &message)) {
    logLine("warn", "the agent sent a message that is not known");
    return;
  }
  const std::string command = stringMember(message, "cmd");
  if (command == "NODE_HANDLE") {
    // Node sends no further socket before the acknowledgement, and keeps its own copy of this one open until then.
    if (handles_.empty()) {
      send("{\"cmd\":\"NODE_HANDLE_NACK\"}");
      return;
    }
    const int handle = handles_.front();
    handles_.pop_front();
    send("{\"cmd\":\"NODE_HANDLE_ACK\"}");
    const auto inner = message.FindMember("msg");
    obeyMessage(inner == message.MemberEnd() ? "" : stringMember(inner->value, "type"), handle);
  } else if (command.compare(0, 5, "NODE_") != 0) {
    obeyMessage(stringMember(message, "type"), -1);
  }
}

void AgentChannel::obeyMessage(const std::string& type, int handle) {
  if (type == "connection" && handle >= 0) {
    fcntl(handle, F_SETFL, fcntl(handle, F_GETFL) | O_NONBLOCK);
    orders_->takeConnection(handle);
    return;
  }
  if (handle >= 0) close(handle);
  if (type == "ping") {
    char pong[64];
    std::snprintf(pong, sizeof pong, "{\"type\":\"pong\",\"oldestRequestMs\":%.3f}", orders_->oldestRequestMs());
    send(pong);
  } else if (type == "drain") {
    orders_->drain();
  } else if (type != "connection") {
    logLine("warn", "the agent sent a message that is not known");
  }
}

void AgentChannel::send(const std::string& json) {
  output_ += json;
  output_ += '\n';
  write();
}

void AgentChannel::onWritable(evutil_socket_t, short, void* self) { static_cast<AgentChannel*>(self)->write(); }

void AgentChannel::write() {
  while (!output_.empty()) {
    const ssize_t size = ::send(fd_, output_.data(), output_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) {
      event_add(writeEvent_, nullptr);
      return;
    }
    if (size < 0) {
      output_.clear();  // the other end is closed; reading tells
      break;
    }
    output_.erase(0, static_cast<size_t>(size));
  }
  event_del(writeEvent_);
}

void AgentChannel::flush() {
  for (int tries = 0; !output_.empty() && tries < 10; ++tries) {
    pollfd writable{fd_, POLLOUT, 0};
    poll(&writable, 1, 100);
    write();
  }
}

}  // namespace selvedge::serve
