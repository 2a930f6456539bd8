// Reads op chains out of JSON that may hold anything. Private to this folder.
#ifndef SELVEDGE_OPS_SPEC_READER_H
#define SELVEDGE_OPS_SPEC_READER_H

#include <string>
#include <vector>

#include <rapidjson/document.h>

#include "base/json_value.h"
#include "base/status.h"

namespace selvedge {

/// Reads the names in `spec.pipeline`: each one of `known`, none twice.
Status readOps(const rapidjson::Value& spec, const std::vector<const char*>& known, std::vector<std::string>* ops);

Status invalidSpec(const std::string& why);

}  // namespace selvedge

#endif
