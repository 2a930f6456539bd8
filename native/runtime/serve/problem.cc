#include "serve/problem.h"

#include <cstdio>
#include <cstring>

namespace selvedge::serve {

namespace {

struct Entry {
  const char* code;
  const char* kind;
  int httpStatus;
  bool retryable;
  const char* title;
};

// The rows of packages/contract/src/errors.ts that a server can meet. SHAPE_MISMATCH is 400 here as in the model server.
constexpr Entry kEntries[] = {
    {"INPUT_INVALID", "user", 400, false, "The input does not match its schema"},
    {"FILE_UNREADABLE", "user", 400, false, "A file could not be read"},
    {"PAYLOAD_TOO_LARGE", "user", 413, false, "The payload is larger than the limit"},
    {"UNSUPPORTED_MEDIA", "user", 415, false, "The media type is not supported"},
    {"NOT_FOUND", "user", 404, false, "No such resource"},
    {"CONFLICT", "user", 409, false, "The resource is in a state that forbids this"},
    {"FORBIDDEN", "user", 403, false, "The credential does not allow this"},
    {"RATE_LIMITED", "operational", 429, true, "Too many requests"},
    {"IMAGE_UNREADABLE", "user", 422, false, "The image could not be decoded"},
    {"DIGEST_MISMATCH", "operational", 422, true, "The content does not have the expected sha256"},
    {"MODEL_INVALID", "user", 422, false, "The file is not a valid ONNX model"},
    {"SHAPE_MISMATCH", "user", 400, false, "Tensor shapes do not fit each other"},
    {"PREPROC_INVALID", "user", 422, false, "The pre- or post-processing chain cannot be executed"},
    {"WORKLOAD_NOT_SERVING", "operational", 503, true, "No device serves this model"},
    {"TIMEOUT", "operational", 504, true, "Something did not happen in time"},
    {"INTERRUPTED", "user", 499, true, "Interrupted"},
    {"INTERNAL", "bug", 500, false, "Selvedge has a bug here"},
    // Also what every code becomes that is not in this table, as the agent does with codes that it does not know.
    {"WORKLOAD_FAILED", "operational", 500, true, "The workload on the device failed"},
};

const Entry& findEntry(const char* code) {
  for (const Entry& entry : kEntries)
    if (std::strcmp(entry.code, code) == 0) return entry;
  return kEntries[sizeof(kEntries) / sizeof(kEntries[0]) - 1];
}

/// Length of the valid UTF-8 sequence at `at`; 0 when there is none.
size_t sequenceLength(const std::string& text, size_t at) {
  const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned lead = byte(at);
  size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (size_t index = 1; index < length; ++index)
    if ((byte(at + index) & 0xc0u) != 0x80) return 0;
  const unsigned second = length > 1 ? byte(at + 1) : 0;
  const bool isOverlongOrSurrogate = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                                     (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
  return isOverlongOrSurrogate ? 0 : length;
}

}  // namespace

ErrorForm errorForm(const std::string& path) { return path.compare(0, 3, "/v2") == 0 ? ErrorForm::protocol : ErrorForm::problem; }

void appendJsonString(const std::string& text, std::string* json) {
  json->push_back('"');
  for (size_t at = 0; at < text.size();) {
    const size_t length = sequenceLength(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0) {
      json->append("\xef\xbf\xbd");
      at += 1;
    } else if (byte == '"' || byte == '\\') {
      json->push_back('\\');
      json->push_back(text[at++]);
    } else if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(byte));
      json->append(escape);
      at += 1;
    } else {
      json->append(text, at, length);
      at += length;
    }
  }
  json->push_back('"');
}

HttpResponse errorResponse(const Status& error, ErrorForm form, int httpStatus) {
  const Entry& entry = findEntry(error.code());
  const bool isBug = std::strcmp(entry.kind, "bug") == 0;
  HttpResponse response;
  response.status = httpStatus == 0 ? entry.httpStatus : httpStatus;
  if (entry.retryable || response.status == 429) response.headers = "Retry-After: 1\r\n";
  std::string& body = response.body;
  if (form == ErrorForm::protocol) {
    body = "{\"error\":";
    appendJsonString(isBug ? "internal error" : error.message(), &body);
    body += '}';
    return response;
  }
  response.contentType = "application/problem+json";
  body = "{\"type\":\"https://selvedge.dev/errors/" + std::string(entry.code) + "\",\"title\":";
  appendJsonString(entry.title, &body);
  body += ",\"status\":" + std::to_string(response.status) + ",\"detail\":";
  appendJsonString(isBug ? entry.title : error.message(), &body);
  body += ",\"code\":\"" + std::string(entry.code) + "\",\"kind\":\"" + entry.kind + "\",\"retryable\":";
  body += entry.retryable ? "true}" : "false}";
  return response;
}

}  // namespace selvedge::serve
