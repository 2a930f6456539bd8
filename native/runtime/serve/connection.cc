#include "serve/connection.h"

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/buffer.h>

namespace selvedge::serve {

namespace {

constexpr double kLingerMs = 2000;

const std::string& dateHeader() {
  static time_t last = 0;
  static std::string line;
  const time_t now = time(nullptr);
  if (now == last) return line;
  last = now;
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const UtcTime utc = utcTime(now);
  char text[128];
  std::snprintf(text, sizeof text, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", kDays[utc.weekday], utc.day, kMonths[utc.month - 1], utc.year, utc.hour,
                utc.minute, utc.second);
  line = text;
  return line;
}

}  // namespace

Connection::~Connection() { close(); }

void Connection::enter(Phase phase) {
  phase_ = phase;
  sinceMs_ = nowMs();
}

void Connection::look(double now) {
  const ServeOptions& limits = server_->options_;
  const double silentMs = now - sinceMs_;
  switch (phase_) {
    case Phase::idle:
      if (silentMs >= (isFirst_ ? limits.headerTimeoutMs : limits.idleTimeoutMs)) close();
      break;
    case Phase::head:
      if (silentMs >= limits.headerTimeoutMs) sendBare(408);
      break;
    case Phase::body:
      if (silentMs >= limits.requestTimeoutMs) sendBare(408);
      break;
    case Phase::writing:
      if (silentMs >= limits.requestTimeoutMs) close();
      break;
    case Phase::lingering:
      if (silentMs >= kLingerMs) close();
      break;
    case Phase::waiting:
    case Phase::closed:
      break;
  }
}

void Connection::close() {
  if (phase_ == Phase::closed) return;
  const bool wasWaiting = phase_ == Phase::waiting;
  phase_ = Phase::closed;
  releaseBody();
  if (wasWaiting) {
    server_->waiting_.erase(id_);
    server_->handler_->gone(id_);
    server_->handler_->answered(isPost_, 499, nowMs() - startedAtMs_);
  }
  if (buffer_ != nullptr) bufferevent_free(buffer_);
  buffer_ = nullptr;
  ::close(fd_);
  server_->remove(this);
}

bool Connection::isSilent() const {
  return phase_ == Phase::idle && evbuffer_get_length(bufferevent_get_input(buffer_)) == 0 && evbuffer_get_length(bufferevent_get_output(buffer_)) == 0;
}

int Connection::detach() {
  phase_ = Phase::closed;
  // At once and by name: the loop would go on watching the socket, which stays open in another process.
  bufferevent_disable(buffer_, EV_READ | EV_WRITE);
  bufferevent_free(buffer_);
  buffer_ = nullptr;
  server_->remove(this);
  return fd_;
}

void Connection::releaseBody() {
  server_->bufferedBytes_ -= bodyBytes_;
  bodyBytes_ = 0;
}

void Connection::onReadable(bufferevent*, void* self) {
  auto* connection = static_cast<Connection*>(self);
  if (connection->phase_ == Phase::lingering) {
    evbuffer* input = bufferevent_get_input(connection->buffer_);
    evbuffer_drain(input, evbuffer_get_length(input));
  } else {
    connection->parse();
  }
}

void Connection::onEvent(bufferevent*, short what, void* self) {
  auto* connection = static_cast<Connection*>(self);
  connection->sawEnd_ = true;
  // Who has shut its sending side may still take an answer that is on its way. While a request waits for the model, the end
  // of the stream cannot be told from a client that has gone, and is taken for that, as Node does.
  if ((what & BEV_EVENT_EOF) != 0 && connection->phase_ == Phase::writing) return;
  connection->close();
}

void Connection::onWritten(bufferevent*, void* self) {
  auto* connection = static_cast<Connection*>(self);
  if (connection->phase_ != Phase::writing) return;
  connection->afterWriting();
  connection->parse();
}

/// @returns in phase idle, lingering or closed.
void Connection::afterWriting() {
  if (!closesAfterWriting_ && !sawEnd_) {
    enter(Phase::idle);
    return;
  }
  const bool hasInput = evbuffer_get_length(bufferevent_get_input(buffer_)) > 0;
  if (sawEnd_ || (!lingers_ && !hasInput)) {
    close();
    return;
  }
  shutdown(fd_, SHUT_WR);
  enter(Phase::lingering);
  evbuffer* input = bufferevent_get_input(buffer_);
  evbuffer_drain(input, evbuffer_get_length(input));
}

void Connection::answer(HttpResponse&& response) {
  // The request is over for the server's map: closing from here on has nothing to cancel.
  phase_ = Phase::writing;
  releaseBody();
  send(response, !keepAlive_);
  parse();
}

void Connection::sendBare(int status) {
  closesAfterWriting_ = lingers_ = true;
  server_->handler_->answered(false, status, 0);
  sendBytes("HTTP/1.1 " + std::to_string(status) + " " + reasonPhrase(status) + "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "");
}

void Connection::send(const HttpResponse& response, bool shallClose) {
  closesAfterWriting_ = shallClose || (server_->draining_ && !server_->givesBack(*this));
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " " + reasonPhrase(response.status) + "\r\nContent-Type: ";
  head += response.contentType;
  head += "\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\n";
  head += response.headers;
  head += dateHeader();
  if (closesAfterWriting_) head += "Connection: close\r\n\r\n";
  else head += "Connection: keep-alive\r\nKeep-Alive: timeout=" + std::to_string(server_->options_.idleTimeoutMs / 1000) + "\r\n\r\n";
  server_->handler_->answered(isPost_, response.status, nowMs() - startedAtMs_);
  static const std::string kNothing;
  sendBytes(head, isHead_ ? kNothing : response.body);
}

/// Most answers fit into the socket's buffer: they are sent here and now, without waiting for the loop to find it writable.
void Connection::sendBytes(const std::string& head, const std::string& body) {
  enter(Phase::writing);
  isFirst_ = false;
  iovec parts[2] = {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  const bool isBusy = evbuffer_get_length(bufferevent_get_output(buffer_)) > 0;
  const ssize_t sent = isBusy ? 0 : sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    close();
    return;
  }
  const size_t done = sent < 0 ? 0 : static_cast<size_t>(sent);
  if (done == head.size() + body.size()) {
    afterWriting();
    return;
  }
  if (done < head.size()) bufferevent_write(buffer_, head.data() + done, head.size() - done);
  const size_t from = done > head.size() ? done - head.size() : 0;
  if (from < body.size()) bufferevent_write(buffer_, body.data() + from, body.size() - from);
}

void Connection::refuse(HttpResponse&& response) {
  isRefused_ = true;
  refusal_ = std::move(response);
  releaseBody();
  std::string().swap(request_.body);
}

void Connection::parse() {
  while (phase_ == Phase::idle || phase_ == Phase::head || phase_ == Phase::body) {
    if (!parseSome()) break;
  }
  server_->giveBackIfSilent(this);
}

/// One piece of the input. @returns false when there is none, or the connection ends.
bool Connection::parseSome() {
  evbuffer* input = bufferevent_get_input(buffer_);
  evbuffer_iovec piece;
  if (evbuffer_peek(input, -1, nullptr, &piece, 1) < 1 || piece.iov_len == 0) return false;
  const char* data = static_cast<const char*>(piece.iov_base);
  const llhttp_errno_t outcome = llhttp_execute(&parser_, data, piece.iov_len);
  const char* end = outcome == HPE_OK ? nullptr : llhttp_get_error_pos(&parser_);
  evbuffer_drain(input, end == nullptr ? piece.iov_len : static_cast<size_t>(end - data));
  if (outcome == HPE_PAUSED && isWhole_) {
    llhttp_resume(&parser_);
    endRequest();
    return true;
  }
  if (outcome != HPE_OK) {
    sendBare(parseError_ != 0 ? parseError_ : 400);
    return false;
  }
  if (isRefused_) {
    // Of a body that was not read to its end, the rest would be taken for the next request.
    lingers_ = true;
    send(refusal_, true);
    return false;
  }
  return true;
}

void Connection::endRequest() {
  isWhole_ = false;
  if (isRefused_) {
    send(refusal_, !keepAlive_);
    return;
  }
  enter(Phase::waiting);
  server_->waiting_[id_] = this;
  HttpResponse response;
  if (!server_->handler_->handle(std::move(request_), &response)) return;
  server_->waiting_.erase(id_);
  phase_ = Phase::writing;
  releaseBody();
  send(response, !keepAlive_);
}

}  // namespace selvedge::serve
