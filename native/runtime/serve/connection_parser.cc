// The half of a connection that llhttp calls: what a request's head and body may be.
#include <algorithm>
#include <strings.h>

#include "serve/connection.h"
#include "serve/problem.h"

namespace selvedge::serve {

namespace {

constexpr size_t kMaxHeadBytes = 16 * 1024;
/// A body of this size is taken even when the sum over all connections is used up: small requests always get through.
constexpr int64_t kSmallBodyBytes = 64 * 1024;
/// Read ahead of what is parsed; more stays in the kernel, and the client waits.
constexpr size_t kReadAheadBytes = 64 * 1024;

Connection* connectionOf(llhttp_t* parser) { return static_cast<Connection*>(parser->data); }

std::string mediaType(const std::string& value) {
  std::string type = value.substr(0, value.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  for (char& letter : type)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + ('a' - 'A'));
  return type;
}

}  // namespace

struct ParserCallbacks {
  static int begin(llhttp_t* parser) {
    connectionOf(parser)->beginRequest();
    return 0;
  }
  static int url(llhttp_t* parser, const char* data, size_t size) {
    Connection* connection = connectionOf(parser);
    if (!connection->countHead(size)) return HPE_USER;
    connection->request_.path.append(data, size);
    return 0;
  }
  static int field(llhttp_t* parser, const char* data, size_t size) {
    Connection* connection = connectionOf(parser);
    if (!connection->countHead(size)) return HPE_USER;
    connection->field_.append(data, size);
    return 0;
  }
  static int value(llhttp_t* parser, const char* data, size_t size) {
    Connection* connection = connectionOf(parser);
    if (!connection->countHead(size)) return HPE_USER;
    connection->value_.append(data, size);
    return 0;
  }
  static int headerEnd(llhttp_t* parser) {
    Connection* connection = connectionOf(parser);
    // Each line costs its CRLF too, so that many empty headers are bounded as well.
    if (!connection->countHead(4)) return HPE_USER;
    connection->noteHeader();
    return 0;
  }
  static int extension(llhttp_t* parser, const char*, size_t size) { return connectionOf(parser)->countHead(size) ? 0 : HPE_USER; }
  static int headEnd(llhttp_t* parser) { return connectionOf(parser)->endHead(); }
  static int body(llhttp_t* parser, const char* data, size_t size) { return connectionOf(parser)->takeBody(data, size); }
  static int end(llhttp_t* parser) {
    connectionOf(parser)->isWhole_ = true;
    return HPE_PAUSED;
  }
  static const llhttp_settings_t* settings() {
    static const llhttp_settings_t kSettings = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_message_begin = begin;
      made.on_url = url;
      made.on_header_field = field;
      made.on_header_value = value;
      made.on_header_value_complete = headerEnd;
      made.on_chunk_extension_name = extension;
      made.on_chunk_extension_value = extension;
      made.on_headers_complete = headEnd;
      made.on_body = body;
      made.on_message_complete = end;
      return made;
    }();
    return &kSettings;
  }
};

Connection::Connection(HttpServer* server, int fd, Origin origin)
    : server_(server), fd_(fd), origin_(origin), sinceMs_(nowMs()), isFirst_(origin != Origin::kept) {
  llhttp_init(&parser_, HTTP_REQUEST, ParserCallbacks::settings());
  parser_.data = this;
}

bool Connection::start() {
  buffer_ = bufferevent_socket_new(server_->base_, fd_, 0);
  if (buffer_ == nullptr) return false;
  bufferevent_setcb(buffer_, onReadable, onWritten, onEvent, this);
  bufferevent_setwatermark(buffer_, EV_READ, 0, kReadAheadBytes);
  bufferevent_set_max_single_read(buffer_, kReadAheadBytes);
  return bufferevent_enable(buffer_, EV_READ | EV_WRITE) == 0;
}

void Connection::beginRequest() {
  enter(Phase::head);
  request_ = HttpRequest();
  field_.clear();
  value_.clear();
  headBytes_ = 0;
  hosts_ = 0;
  expectsContinue_ = expectsOther_ = isHead_ = isPost_ = headIsWhole_ = isRefused_ = isWhole_ = lingers_ = false;
  parseError_ = 0;
  keepAlive_ = true;
  startedAtMs_ = sinceMs_;
}

bool Connection::countHead(size_t bytes) {
  headBytes_ += bytes;
  if (headBytes_ <= kMaxHeadBytes) return true;
  parseError_ = 431;
  return false;
}

void Connection::noteHeader() {
  const auto is = [this](const char* name) { return strcasecmp(field_.c_str(), name) == 0; };
  if (headIsWhole_) {
    // A trailer: it may name what it likes, nothing of it counts.
  } else if (is("host")) {
    hosts_ += 1;
  } else if (is("content-type")) {
    request_.contentType = mediaType(value_);
  } else if (is("content-length") || is("transfer-encoding")) {
    request_.hasBody = true;
  } else if (is("inference-header-content-length")) {
    // Twice is joined as Node does it, which makes it no number.
    request_.tensorHeader = request_.hasTensorHeader ? request_.tensorHeader + ", " + value_ : value_;
    request_.hasTensorHeader = true;
  } else if (is("expect")) {
    (strcasecmp(value_.c_str(), "100-continue") == 0 ? expectsContinue_ : expectsOther_) = true;
  }
  field_.clear();
  value_.clear();
}

/// @returns what llhttp wants of on_headers_complete: 0 to go on.
int Connection::endHead() {
  headIsWhole_ = true;
  parser_.upgrade = 0;  // CONNECT and Upgrade are requests like others: nothing here changes the protocol
  const bool isOneDotOne = parser_.http_major == 1 && parser_.http_minor == 1;
  const bool isOneDotZero = parser_.http_major == 1 && parser_.http_minor == 0;
  if ((!isOneDotOne && !isOneDotZero) || hosts_ > 1 || (isOneDotOne && hosts_ == 0)) return HPE_USER;
  const double firstByteMs = sinceMs_;
  enter(Phase::body);
  sinceMs_ = firstByteMs;  // the deadline of the whole request counts from its first byte
  keepAlive_ = llhttp_should_keep_alive(&parser_) != 0;
  request_.id = id_ = ++server_->lastId_;
  request_.startedAtMs = startedAtMs_ = nowMs();
  request_.method = llhttp_method_name(static_cast<llhttp_method_t>(parser_.method));
  request_.path.resize(std::min(request_.path.size(), request_.path.find('?')));
  isHead_ = request_.method == "HEAD";
  isPost_ = request_.method == "POST";
  const bool isSized = (parser_.flags & F_CONTENT_LENGTH) != 0;
  const uint64_t length = isSized ? parser_.content_length : 0;
  const auto limit = static_cast<uint64_t>(server_->options_.maxBodyBytes);
  request_.contentLength = isSized ? static_cast<int64_t>(std::min(length, limit + 1)) : -1;
  HttpResponse response;
  if (expectsOther_) {
    refuse(errorResponse(Status::error("INPUT_INVALID", "Only 100-continue can be expected of this server."), errorForm(request_.path), 417));
  } else if (server_->handler_->refuse(request_, &response)) {
    refuse(std::move(response));
  } else if (expectsContinue_ && isOneDotOne && (length > 0 || !isSized)) {
    bufferevent_write(buffer_, "HTTP/1.1 100 Continue\r\n\r\n", 25);
  }
  return 0;
}

int Connection::takeBody(const char* data, size_t size) {
  if (isRefused_) return 0;
  const auto more = static_cast<int64_t>(size);
  const ServeOptions& limits = server_->options_;
  const bool isTooLarge = bodyBytes_ + more > limits.maxBodyBytes;
  const bool isTooMuch = bodyBytes_ + more > kSmallBodyBytes && server_->bufferedBytes_ + more > limits.maxBufferedBytes;
  if (isTooLarge || isTooMuch) {
    const Status error = isTooLarge ? Status::error("PAYLOAD_TOO_LARGE", "A request body may have " + std::to_string(limits.maxBodyBytes) + " bytes.")
                                    : Status::error("RATE_LIMITED", "Too many large requests are being received at once.");
    refuse(errorResponse(error, errorForm(request_.path)));
    return 0;
  }
  bodyBytes_ += more;
  server_->bufferedBytes_ += more;
  request_.body.append(data, size);
  return 0;
}

}  // namespace selvedge::serve
