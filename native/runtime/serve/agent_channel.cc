#include "serve/agent_channel.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
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
      output_(base, fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  event_add(readEvent_, nullptr);
}

AgentChannel::~AgentChannel() {
  event_free(readEvent_);
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
      output_.acknowledge(false);
      return;
    }
    const int handle = handles_.front();
    handles_.pop_front();
    output_.acknowledge(true);
    static const rapidjson::Value kNothing;
    const auto inner = message.FindMember("msg");
    obeyMessage(inner == message.MemberEnd() ? kNothing : inner->value, handle);
  } else if (command == "NODE_HANDLE_ACK" || command == "NODE_HANDLE_NACK") {
    output_.acknowledged(command == "NODE_HANDLE_ACK");
  } else if (command.compare(0, 5, "NODE_") != 0) {
    obeyMessage(message, -1);
  }
}

void AgentChannel::obeyMessage(const rapidjson::Value& message, int handle) {
  const std::string type = stringMember(message, "type");
  if (type == "connection" && handle >= 0) {
    fcntl(handle, F_SETFL, fcntl(handle, F_GETFL) | O_NONBLOCK);
    orders_->takeConnection(handle, isTrueMember(message, "kept"));
    return;
  }
  if (handle >= 0) close(handle);
  if (type == "ping") {
    char pong[64];
    std::snprintf(pong, sizeof pong, "{\"type\":\"pong\",\"oldestRequestMs\":%.3f}", orders_->oldestRequestMs());
    output_.send(pong);
  } else if (type == "drain") {
    orders_->drain(isTrueMember(message, "giveBack"));
  } else if (type == "resume") {
    orders_->resume();
  } else if (type != "connection") {
    logLine("warn", "the agent sent a message that is not known");
  }
}

}  // namespace selvedge::serve
