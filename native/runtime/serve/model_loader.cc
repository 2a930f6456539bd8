#include "serve/model_loader.h"

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/http_message.h"
#include "serve/json_document.h"

namespace selvedge::serve {

namespace {

constexpr off_t kMaxManifestBytes = 16 * 1024 * 1024;

bool readSmallFile(const std::string& path, std::string* text) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat info{};
  bool isGood = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= kMaxManifestBytes;
  if (isGood) {
    text->resize(static_cast<size_t>(info.st_size));
    size_t done = 0;
    while (isGood && done < text->size()) {
      const ssize_t got = read(fd, text->data() + done, text->size() - done);
      isGood = got > 0;
      if (isGood) done += static_cast<size_t>(got);
    }
  }
  close(fd);
  return isGood;
}

}  // namespace

ModelLoader::~ModelLoader() {
  if (thread_.joinable()) thread_.join();
}

void ModelLoader::start(const PipelineOptions& options) {
  isDone_ = false;
  loaded_ = LoadedModel();
  loaded_.modelPath = options.modelPath;
  thread_ = std::thread([this, options] {
    const double startedAtMs = nowMs();
    loaded_.status = open_(options, &loaded_.pipeline);
    if (loaded_.status.isOk()) loaded_.status = loaded_.pipeline->selfTest(&loaded_.selfTestDifference);
    if (!loaded_.status.isOk()) loaded_.pipeline.reset();
    loaded_.loadMs = nowMs() - startedAtMs;
    isDone_ = true;
    wake_();
  });
}

bool ModelLoader::take(LoadedModel* loaded) {
  if (!thread_.joinable() || !isDone_) return false;
  thread_.join();
  *loaded = std::move(loaded_);
  return true;
}

void readPackageName(const std::string& folder, std::string* model, std::string* version) {
  std::string text;
  if (!readSmallFile(folder + "/manifest.json", &text)) return;
  rapidjson::Document manifest;
  if (!parseObject(text.data(), text.size(), &manifest)) return;
  *model = stringMember(manifest, "model");
  *version = stringMember(manifest, "version");
}

Status confineModelFile(const std::string& folder, const std::string& relative, std::string* path) {
  if (relative.empty() || relative[0] == '/' || relative.find('\0') != std::string::npos)
    return Status::error("INPUT_INVALID", "model_file must be a path inside the package folder.");
  char root[PATH_MAX], real[PATH_MAX];
  if (realpath(folder.c_str(), root) == nullptr || realpath((folder + "/" + relative).c_str(), real) == nullptr)
    return Status::error("FILE_UNREADABLE", "There is no model file " + relative + " in the package folder.");
  const std::string prefix = std::string(root) + (std::string(root) == "/" ? "" : "/");
  if (std::string(real).compare(0, prefix.size(), prefix) != 0)
    return Status::error("INPUT_INVALID", "model_file must be a path inside the package folder.");
  struct stat info{};
  if (stat(real, &info) != 0 || !S_ISREG(info.st_mode))
    return Status::error("FILE_UNREADABLE", relative + " in the package folder is not a file.");
  *path = real;
  return Status::ok();
}

Status parseLoadRequest(Bytes body, std::string* file) {
  file->clear();
  if (body.size == 0) return Status::ok();
  rapidjson::Document request;
  if (!parseObject(reinterpret_cast<const char*>(body.data), body.size, &request)) return Status::error("INPUT_INVALID", "The body is not a JSON object.");
  const auto parameters = request.FindMember("parameters");
  if (parameters == request.MemberEnd()) return Status::ok();
  if (!parameters->value.IsObject()) return Status::error("INPUT_INVALID", "parameters must be an object.");
  const auto name = parameters->value.FindMember("model_file");
  if (name == parameters->value.MemberEnd()) return Status::ok();
  *file = stringMember(parameters->value, "model_file");
  return file->empty() ? Status::error("INPUT_INVALID", "model_file must be a path inside the package folder.") : Status::ok();
}

}  // namespace selvedge::serve
