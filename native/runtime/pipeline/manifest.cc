#include "pipeline/manifest.h"

#include <cctype>

#include <rapidjson/error/en.h>

#include "input/read_file.h"

namespace selvedge {
namespace {

/// The same bound as MAX_MANIFEST_BYTES of the contract.
constexpr size_t kMaxManifestBytes = 4 * 1024 * 1024;
constexpr size_t kMaxTextBytes = 4096;

class MemberReader {
 public:
  MemberReader(const std::string& file, const rapidjson::Value& object) : file_(file), object_(object) {}

  Status fault(const char* member, const char* wanted) const {
    return Status::error("INPUT_INVALID", file_ + ": \"" + member + "\" must be " + wanted + ".");
  }

  const rapidjson::Value* find(const char* member) const {
    const auto found = object_.FindMember(member);
    return found == object_.MemberEnd() ? nullptr : &found->value;
  }

  Status text(const char* member, std::string* value) const {
    const rapidjson::Value* found = find(member);
    if (found == nullptr || !found->IsString() || found->GetStringLength() == 0 || found->GetStringLength() > kMaxTextBytes) {
      return fault(member, "a text");
    }
    value->assign(found->GetString(), found->GetStringLength());
    return Status::ok();
  }

  Status boolean(const char* member, bool* value) const {
    const rapidjson::Value* found = find(member);
    if (found == nullptr || !found->IsBool()) return fault(member, "true or false");
    *value = found->GetBool();
    return Status::ok();
  }

  Status object(const char* member) const {
    const rapidjson::Value* found = find(member);
    return found != nullptr && found->IsObject() ? Status::ok() : fault(member, "an object");
  }

  Status texts(const char* member, std::vector<std::string>* values) const {
    const rapidjson::Value* found = find(member);
    if (found == nullptr || !found->IsArray()) return fault(member, "an array of texts");
    values->clear();
    for (const rapidjson::Value& item : found->GetArray()) {
      if (!item.IsString()) return fault(member, "an array of texts");
      values->emplace_back(item.GetString(), item.GetStringLength());
    }
    return Status::ok();
  }

  /// A relative path that stays inside the package (packagePathSchema).
  Status path(const char* member, std::string* value) const {
    if (Status status = text(member, value); !status.isOk()) return status;
    bool segmentStart = true;
    bool good = value->size() <= 255 && value->back() != '/';
    for (const char character : *value) {
      const bool word = std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_';
      if (character == '/') {
        good = good && !segmentStart;
        segmentStart = true;
        continue;
      }
      good = good && (word || (!segmentStart && (character == '.' || character == '-')));
      segmentStart = false;
    }
    return good ? Status::ok() : fault(member, "a relative path inside the package");
  }

 private:
  const std::string& file_;
  const rapidjson::Value& object_;
};

Status readKind(const MemberReader& members) {
  const rapidjson::Value* format = members.find("formatVersion");
  if (format == nullptr || !format->IsInt() || format->GetInt() != 1) return members.fault("formatVersion", "1");
  std::string runtime;
  if (Status status = members.text("runtime", &runtime); !status.isOk()) return status;
  return runtime == "native" ? Status::ok() : members.fault("runtime", "\"native\"");
}

Status readInfo(const MemberReader& members, PackageInfo* info) {
  const struct {
    const char* member;
    std::string* value;
  } texts[] = {{"model", &info->model}, {"version", &info->version}, {"target", &info->target},
               {"engine", &info->engine}, {"precision", &info->precision}};
  for (const auto& [member, value] : texts) {
    if (Status status = members.text(member, value); !status.isOk()) return status;
  }
  return members.texts("labels", &info->labels);
}

Status readGoldenFile(const MemberReader& members, std::string* value) {
  value->clear();
  const rapidjson::Value* found = members.find("goldenFile");
  if (found == nullptr) return members.fault("goldenFile", "a path or null");
  return found->IsNull() ? Status::ok() : members.path("goldenFile", value);
}

}  // namespace

Status parseManifest(const std::string& file, const std::string& text, Manifest* manifest) {
  rapidjson::Document& document = manifest->document;
  // Iterative: a deeply nested document must not use up the stack.
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(text.data(), text.size());
  if (document.HasParseError()) {
    return Status::error("INPUT_INVALID", file + ": at byte " + std::to_string(document.GetErrorOffset()) + ": " +
                                              rapidjson::GetParseError_En(document.GetParseError()));
  }
  if (!document.IsObject()) return Status::error("INPUT_INVALID", file + ": must be a JSON object.");
  const MemberReader members(file, document);
  if (Status status = readKind(members); !status.isOk()) return status;
  if (Status status = readInfo(members, &manifest->info); !status.isOk()) return status;
  if (Status status = members.path("modelFile", &manifest->modelFile); !status.isOk()) return status;
  if (Status status = readGoldenFile(members, &manifest->goldenFile); !status.isOk()) return status;
  if (Status status = members.boolean("dctScaling", &manifest->dctScaling); !status.isOk()) return status;
  if (Status status = members.object("preproc"); !status.isOk()) return status;
  return members.object("postproc");
}

Status readManifest(const std::string& folder, Manifest* manifest) {
  const std::string file = folder + "/manifest.json";
  std::vector<uint8_t> bytes;
  if (Status status = readFile(file, kMaxManifestBytes, &bytes); !status.isOk()) return status;
  return parseManifest(file, std::string(bytes.begin(), bytes.end()), manifest);
}

}  // namespace selvedge
