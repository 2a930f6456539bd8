#include "serve/json_document.h"

namespace selvedge::serve {

bool parseObject(const char* text, size_t size, rapidjson::Document* document) {
  document->Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(text, size);
  return !document->HasParseError() && document->IsObject();
}

std::string stringMember(const rapidjson::Value& object, const char* name) {
  if (!object.IsObject()) return "";
  const auto member = object.FindMember(name);
  if (member == object.MemberEnd() || !member->value.IsString()) return "";
  return std::string(member->value.GetString(), member->value.GetStringLength());
}

bool isTrueMember(const rapidjson::Value& object, const char* name) {
  if (!object.IsObject()) return false;
  const auto member = object.FindMember(name);
  return member != object.MemberEnd() && member->value.IsTrue();
}

}  // namespace selvedge::serve
