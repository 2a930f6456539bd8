#include "ops/spec_reader.h"

#include <algorithm>

namespace selvedge {

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
