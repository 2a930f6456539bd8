// A pre-processing chain laid out for one size of picture.
#ifndef SELVEDGE_OPS_CHAIN_H
#define SELVEDGE_OPS_CHAIN_H

#include <memory>
#include <vector>

#include "ops/chain_spec.h"
#include "ops/preproc.h"
#include "ops/stages.h"

namespace selvedge {

class Chain {
 public:
  explicit Chain(std::vector<ChainStep> steps) : steps_(std::move(steps)) {}

  /// Lays the chain out for pictures of `form`; does nothing when it is for such pictures already.
  /// @param original - size of the picture before it was decoded smaller, or that of `form`.
  /// @param isPackedRgb - whether run() will get packed 8-bit RGB.
  /// @returns INPUT_INVALID when an op cannot run.
  Status plan(const PictureForm& form, Size original, bool isPackedRgb);

  /// What run() writes; valid after plan().
  const PictureForm& output() const { return output_; }
  const PictureTransform& transform() const { return transform_; }

  /// @param source - as planned.
  /// @param channelsFirst - the order in memory of `out`, which has room for output().
  void run(const PixelSource& source, bool channelsFirst, float* out);

 private:
  void build(bool isPackedRgb);
  void place(const ChainStep& step, Size input, Size original, bool isFirst, Window* window);

  std::vector<ChainStep> steps_;
  PictureForm input_, output_;
  Size original_;
  bool isPackedRgb_ = false, isPlanned_ = false;
  PictureTransform transform_;
  std::vector<Size> sizes_;       // before each step
  std::vector<Window> windows_;   // of each step; only resize and letterbox have one
  PixelSource source_;            // what the source stage reads
  std::vector<std::unique_ptr<Stage>> stages_;
  std::unique_ptr<RowBuffer> pixels_;  // a row before its channels are interleaved
};

}  // namespace selvedge

#endif
