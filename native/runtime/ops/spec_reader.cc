#include "ops/spec_reader.h"

#include <algorithm>
#include <cmath>

namespace selvedge {

const rapidjson::Value* member(const rapidjson::Value* object, const char* name) {
  if (object == nullptr || !object->IsObject()) return nullptr;
  const auto found = object->FindMember(name);
  return found == object->MemberEnd() ? nullptr : &found->value;
}

bool isNumberIn(const rapidjson::Value* value, double lo, double hi) {
  if (value == nullptr || !value->IsNumber()) return false;
  const double number = value->GetDouble();
  return std::isfinite(number) && number >= lo && number <= hi;
}

bool readInt(const rapidjson::Value* value, int64_t lo, int64_t hi, int64_t* out) {
  if (!isNumberIn(value, static_cast<double>(lo), static_cast<double>(hi))) return false;
  const double number = value->GetDouble();
  *out = static_cast<int64_t>(number);
  return static_cast<double>(*out) == number;
}

Status readOps(const rapidjson::Value& spec, const std::vector<const char*>& known, std::vector<std::string>* ops) {
  const rapidjson::Value* pipeline = member(&spec, "pipeline");
  if (pipeline == nullptr || !pipeline->IsArray()) return invalidSpec("\"pipeline\" is not a list of ops");
  ops->clear();
  for (const rapidjson::Value& item : pipeline->GetArray()) {
    if (!item.IsString()) return invalidSpec("\"pipeline\" is not a list of ops");
    const std::string name(item.GetString(), std::min(item.GetStringLength(), rapidjson::SizeType{40}));
    const bool isKnown = std::any_of(known.begin(), known.end(), [&](const char* op) { return name == op; });
    if (!isKnown) return invalidSpec("there is no op \"" + name + "\"");
    if (std::find(ops->begin(), ops->end(), name) != ops->end()) return invalidSpec("\"" + name + "\" is listed twice");
    ops->push_back(name);
  }
  return Status::ok();
}

Status invalidSpec(const std::string& why) { return Status::error("INPUT_INVALID", "The chain of ops cannot run: " + why + "."); }

}  // namespace selvedge
