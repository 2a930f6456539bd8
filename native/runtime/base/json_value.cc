#include "base/json_value.h"

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

}  // namespace selvedge
