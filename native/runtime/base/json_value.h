// Values out of JSON that may hold anything.
#ifndef SELVEDGE_BASE_JSON_VALUE_H
#define SELVEDGE_BASE_JSON_VALUE_H

#include <cstdint>

#include <rapidjson/document.h>

namespace selvedge {

/// Member `name` of `object`, or nullptr (also when `object` is none).
const rapidjson::Value* member(const rapidjson::Value* object, const char* name);

/// Whether `value` is a finite number of [lo, hi].
bool isNumberIn(const rapidjson::Value* value, double lo, double hi);

/// Whether `value` is a whole number of [lo, hi]; writes it to `out`.
bool readInt(const rapidjson::Value* value, int64_t lo, int64_t hi, int64_t* out);

}  // namespace selvedge

#endif
