// A request and its answer, without the connection that they travel on.
#ifndef SELVEDGE_SERVE_HTTP_MESSAGE_H
#define SELVEDGE_SERVE_HTTP_MESSAGE_H

#include <cstdint>
#include <string>

namespace selvedge::serve {

struct HttpRequest {
  /// Names the request for as long as the process lives.
  uint64_t id = 0;
  std::string method;
  /// Without the query.
  std::string path;
  /// Lower case, without parameters; empty when not sent.
  std::string contentType;
  bool hasTensorHeader = false;
  /// Value of Inference-Header-Content-Length.
  std::string tensorHeader;
  /// Content-Length or chunked: without either there is no body.
  bool hasBody = false;
  /// Declared size, or -1.
  int64_t contentLength = -1;
  std::string body;
  /// When the head was whole; monotonic milliseconds.
  double startedAtMs = 0;
};

struct HttpResponse {
  int status = 200;
  std::string contentType = "application/json";
  /// Further header lines, each with its CRLF.
  std::string headers;
  std::string body;
};

/// Monotonic clock, milliseconds.
double nowMs();

/// A moment in UTC. Our own, because glibc's gmtime_r brings the reading of time zone files with it.
struct UtcTime {
  int year = 1970, month = 1, day = 1, weekday = 4, hour = 0, minute = 0, second = 0;
};

/// @param seconds - since 1970; 0 or more.
UtcTime utcTime(int64_t seconds);

/// "OK" for 200 and so on.
const char* reasonPhrase(int status);

}  // namespace selvedge::serve

#endif
