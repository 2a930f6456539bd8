// Reads op chains out of JSON that may hold anything. Private to this folder.
#ifndef SELVEDGE_OPS_SPEC_READER_H
#define SELVEDGE_OPS_SPEC_READER_H

#include <string>
#include <vector>

#include <rapidjson/document.h>

#include "base/status.h"

namespace selvedge {

/// Member `name` of `object`, or nullptr (also when `object` is none).
const rapidjson::Value* member(const rapidjson::Value* object, const char* name);

/// Whether `value` is a finite number of [lo, hi].
bool isNumberIn(const rapidjson::Value* value, double lo, double hi);

/// Whether `value` is a whole number of [lo, hi]; writes it to `out`.
bool readInt(const rapidjson::Value* value, int64_t lo, int64_t hi, int64_t* out);

/// Reads the names in `spec.pipeline`: each one of `known`, none twice.
Status readOps(const rapidjson::Value& spec, const std::vector<const char*>& known, std::vector<std::string>* ops);

Status invalidSpec(const std::string& why);

}  // namespace selvedge

#endif
