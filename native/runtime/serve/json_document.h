// Small JSON documents of others, as a tree.
#ifndef SELVEDGE_SERVE_JSON_DOCUMENT_H
#define SELVEDGE_SERVE_JSON_DOCUMENT_H

#include <cstddef>
#include <string>

#include <rapidjson/document.h>

namespace selvedge::serve {

/// @returns false unless the text is one JSON object in UTF-8. Nesting costs heap, not stack; the caller bounds the size.
bool parseObject(const char* text, size_t size, rapidjson::Document* document);

/// The string at `name`; empty when `object` is no object or has no string there.
std::string stringMember(const rapidjson::Value& object, const char* name);

/// Whether `object` has `true` at `name`.
bool isTrueMember(const rapidjson::Value& object, const char* name);

}  // namespace selvedge::serve

#endif
