// The weights of a model: one read-only file in memory.
#ifndef SELVEDGE_ENGINE_XNNPACK_WEIGHTS_FILE_H
#define SELVEDGE_ENGINE_XNNPACK_WEIGHTS_FILE_H

#include <cstdint>
#include <string>

#include "base/status.h"
#include "engine/xnnpack/model.h"

namespace selvedge::xnnpack {

/// A mapped file. It is not copied: pages come in when they are read and leave again with release().
class WeightsFile {
 public:
  WeightsFile() = default;
  ~WeightsFile();
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  /// Maps the file and checks that it was made for the model's structure.
  /// @returns FILE_UNREADABLE, MODEL_INVALID when size, format or structure do not fit.
  Status open(const std::string& path, const ModelSpec& model);

  const uint8_t* data() const { return data_; }

  /// Gives the pages back to the system; what is read again later is read from the file again.
  void release() const;

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace selvedge::xnnpack

#endif
