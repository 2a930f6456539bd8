// Errors as HTTP answers: the same two forms, codes and statuses as the TypeScript model server.
#ifndef SELVEDGE_SERVE_PROBLEM_H
#define SELVEDGE_SERVE_PROBLEM_H

#include <string>

#include "base/status.h"
#include "serve/http_message.h"

namespace selvedge::serve {

/// `protocol`: {"error": text}, as the Open Inference Protocol wants it. `problem`: RFC 9457 with our code.
enum class ErrorForm { protocol, problem };

/// Everything below /v2 speaks the protocol.
ErrorForm errorForm(const std::string& path);

/// @param httpStatus - 0: the one of the code.
HttpResponse errorResponse(const Status& error, ErrorForm form, int httpStatus = 0);

/// Appends `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
void appendJsonString(const std::string& text, std::string* json);

}  // namespace selvedge::serve

#endif
