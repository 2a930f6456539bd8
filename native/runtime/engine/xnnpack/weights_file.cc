#include "engine/xnnpack/weights_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace selvedge::xnnpack {
namespace {

constexpr char kMagic[8] = {'S', 'L', 'V', 'G', 'W', 'T', 'S', '\0'};
constexpr uint32_t kVersion = 1;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t headerBytes;
  uint64_t totalBytes;
  uint8_t digest[kDigestBytes];
  uint8_t zeros[8];
};
static_assert(sizeof(Header) == 64, "the header of the weights file has 64 bytes");

Status unreadable(const std::string& path, int error) {
  return Status::error("FILE_UNREADABLE", "cannot read the weights file " + path + ": " + strerror(error));
}

Status invalid(const std::string& path, const std::string& why) {
  return Status::error("MODEL_INVALID", "the weights file " + path + " " + why);
}

Status check(const Header& header, const ModelSpec& model, const std::string& path) {
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) return invalid(path, "is no weights file");
  if (header.version != kVersion || header.headerBytes != sizeof(Header)) {
    return invalid(path, "has version " + std::to_string(header.version) + " of its format, this program reads version " +
                             std::to_string(kVersion));
  }
  if (memcmp(header.digest, model.digest, kDigestBytes) != 0) {
    return invalid(path, "belongs to a model of another structure; build the package anew for it");
  }
  if (header.totalBytes != model.weightsBytes) return invalid(path, "has a damaged header");
  return Status::ok();
}

}  // namespace

WeightsFile::~WeightsFile() {
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
}

Status WeightsFile::open(const std::string& path, const ModelSpec& model) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return unreadable(path, errno);
  struct stat info;
  const bool known = fstat(file, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    close(file);
    return known ? invalid(path, "is no regular file") : unreadable(path, errno);
  }
  if (static_cast<uint64_t>(info.st_size) != model.weightsBytes) {
    close(file);
    return invalid(path, "has " + std::to_string(info.st_size) + " bytes, this program needs " +
                             std::to_string(model.weightsBytes));
  }
  size_ = static_cast<size_t>(info.st_size);
  void* mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
  const int error = errno;
  close(file);
  if (mapped == MAP_FAILED) return unreadable(path, error);
  data_ = static_cast<const uint8_t*>(mapped);
  Header header;
  memcpy(&header, data_, sizeof(header));
  return check(header, model, path);
}

void WeightsFile::release() const {
  // A refusal costs memory, nothing else.
  if (data_ != nullptr) (void)madvise(const_cast<uint8_t*>(data_), size_, MADV_DONTNEED);
}

}  // namespace selvedge::xnnpack
