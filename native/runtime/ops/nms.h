// Detector outputs to boxes: greedy non-maximum suppression per class.
#ifndef SELVEDGE_OPS_NMS_H
#define SELVEDGE_OPS_NMS_H

#include <cstddef>
#include <vector>

#include "ops/postproc.h"

namespace selvedge {

/// Columns before the class scores: cx, cy, w, h.
constexpr size_t kBoxColumns = 4;

/// How a detector's output is read: value j of box i is at `i * boxStride + j * columnStride`.
struct BoxTable {
  size_t boxes = 0, classes = 0;
  size_t boxStride = 0, columnStride = 0;
};

struct NmsParams {
  float iouThreshold = 0, confidenceThreshold = 0;
  size_t maxBoxes = 300;
};

/// [N, 4 + classes] or [4 + classes, N], after a batch edge of 1. With labels, the edge of 4 + labels holds the columns;
/// without, the shorter one. If both fit, the last does. @returns false when neither fits.
bool findBoxTable(const std::vector<int64_t>& shape, size_t labelCount, BoxTable* table);

/// Keeps its memory from picture to picture.
class Nms {
 public:
  explicit Nms(const NmsParams& params) : params_(params) {}

  /// All arithmetic is float32, each step rounded. The rules, in order:
  /// 1. A box belongs to its best class; of equal scores to the lower class index.
  /// 2. A box with `score < confidenceThreshold` is dropped.
  /// 3. Corners: `x1 = cx - w / 2` ...; not clipped.
  /// 4. Boxes are taken by falling score, of equal scores the lower row first. One is kept unless a kept box of its class has
  ///    `IoU > iouThreshold` with it. It ends at `maxBoxes` kept boxes, counted over all classes.
  /// 5. `IoU = shared / ((areaA + areaB) - shared)`, `area = max(x2 - x1, 0) * max(y2 - y1, 0)`; 0 for boxes that do not
  ///    overlap or have no area.
  void run(const float* data, const BoxTable& table, std::vector<Box>* boxes);

 private:
  struct Candidate {
    size_t row;
    Box box;
    float area;
  };

  void collect(const float* data, const BoxTable& table);
  bool isSuppressed(const Candidate& candidate) const;
  static float overlap(const Candidate& a, const Candidate& b);

  NmsParams params_;
  std::vector<Candidate> candidates_, kept_;
};

}  // namespace selvedge

#endif
