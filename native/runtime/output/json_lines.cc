#include "output/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace selvedge {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

/// JSON is UTF-8; the name of a file may be any bytes. Those that are no UTF-8 become "?".
std::string asUtf8(const std::string& text) {
  std::string clean;
  for (size_t at = 0; at < text.size();) {
    const auto first = static_cast<uint8_t>(text[at]);
    const size_t length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
    bool good = length > 0 && at + length <= text.size();
    for (size_t more = 1; good && more < length; ++more) good = (static_cast<uint8_t>(text[at + more]) & 0xc0) == 0x80;
    if (good) clean.append(text, at, length);
    else clean += '?';
    at += good ? length : 1;
  }
  return clean;
}

void startLine(Writer* writer, const PackageInfo& info, const std::string& input, uint64_t index) {
  writer->StartObject();
  writer->Key("input");
  writer->String(asUtf8(input));
  writer->Key("index");
  writer->Uint64(index);
  writer->Key("model");
  writer->String(info.model);
  writer->Key("version");
  writer->String(info.version);
}

}  // namespace

JsonLines::~JsonLines() {
  if (file_ > STDERR_FILENO) close(file_);
}

Status JsonLines::open(const std::string& target) {
  target_ = target == "-" ? "stdout" : target;
  file_ = target == "-" ? STDOUT_FILENO : ::open(target.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ >= 0) return Status::ok();
  return Status::error("FILE_UNREADABLE", target_ + " cannot be written: " + std::strerror(errno) + ".");
}

Status JsonLines::write() {
  line_ += '\n';
  size_t done = 0;
  while (done < line_.size()) {
    const ssize_t count = ::write(file_, line_.data() + done, line_.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Status::error(errno == ENOSPC ? "DISK_FULL" : "FILE_UNREADABLE", target_ + " cannot be written: " + std::strerror(errno) + ".");
    done += static_cast<size_t>(count);
  }
  return Status::ok();
}

Status JsonLines::result(const std::string& input, uint64_t index, double latencyMs, const std::string& resultJson) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.SetMaxDecimalPlaces(3);
  startLine(&writer, info_, input, index);
  writer.Key("latencyMs");
  writer.Double(latencyMs);
  writer.Key("result");
  writer.RawValue(resultJson.data(), resultJson.size(), rapidjson::kObjectType);
  writer.EndObject();
  line_.assign(buffer.GetString(), buffer.GetSize());
  return write();
}

Status JsonLines::fault(const std::string& input, uint64_t index, const Status& error) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  startLine(&writer, info_, input, index);
  writer.Key("error");
  writer.StartObject();
  writer.Key("code");
  writer.String(error.code());
  writer.Key("message");
  writer.String(asUtf8(error.message()));
  writer.EndObject();
  writer.EndObject();
  line_.assign(buffer.GetString(), buffer.GetSize());
  return write();
}

}  // namespace selvedge
