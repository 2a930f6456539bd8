// The ops of a chain as rows that are pulled: who needs row y of an op asks for it, and that op asks the one before it. So
// one pass over the output does everything, and no picture lies in between, only rows.
#ifndef SELVEDGE_OPS_STAGES_H
#define SELVEDGE_OPS_STAGES_H

#include <memory>
#include <vector>

#include "ops/axis.h"
#include "ops/chain_spec.h"

namespace selvedge {

/// Where the pixels of a picture or a tensor are read: value (y, x, c) is at `(y * width + x) * pixelStride + c * channelStride`.
struct PixelSource {
  const uint8_t* bytes = nullptr;  ///< either these ...
  const float* floats = nullptr;   ///< ... or these
  Size size;
  size_t pixelStride = 3, channelStride = 1;

  bool isPackedRgb() const { return bytes != nullptr && pixelStride == 3 && channelStride == 1; }
};

/// Columns [first, first + count) of an op's output.
struct Columns {
  int64_t first = 0, count = 0;
};

/// One row of each channel.
using Rows = float* const*;

class Stage {
 public:
  virtual ~Stage() = default;
  /// Forgets rows of the picture before.
  virtual void begin() {}
  /// Writes row `y`, of the columns that the stage was made for.
  virtual void row(int64_t y, Rows out) = 0;
};

/// Buffers for one row of each channel.
class RowBuffer {
 public:
  RowBuffer(int channels, int64_t count);
  RowBuffer(const RowBuffer&) = delete;
  RowBuffer& operator=(const RowBuffer&) = delete;
  Rows rows() { return rows_; }

 private:
  std::vector<float> values_;
  float* rows_[kMaxChannels] = {};
};

/// Columns of an op's input that its output columns are made of.
Columns columnsBefore(const ChainStep& step, Size input, Columns output, Window window);

/// @param source - read by the stage itself; must outlive it. Its pointers may change from run to run.
std::unique_ptr<Stage> makeSourceStage(const PixelSource* source, int channels, Columns columns);

/// What an op is made with.
struct StageInput {
  Stage* before = nullptr;
  const PixelSource* packed = nullptr;  ///< set when `before` reads packed 8-bit RGB
  Size size;                            ///< of the input
  int channels = 3;                     ///< of the input
  Columns columnsBefore;                ///< that `before` was made for
};

/// @param columns - of the output.
/// @param window - resize, letterbox: where the picture lies in the output.
std::unique_ptr<Stage> makeStage(const ChainStep& step, const StageInput& input, Columns columns, Window window);

/// For `makeStage`: resize and letterbox.
std::unique_ptr<Stage> makeResizeStage(const ChainStep& step, const StageInput& input, Columns columns, Window window);

}  // namespace selvedge

#endif
