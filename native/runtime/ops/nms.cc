#include "ops/nms.h"

#include <algorithm>

namespace selvedge {

namespace {

float areaOf(const Box& box) { return std::max(box.x2 - box.x1, 0.0F) * std::max(box.y2 - box.y1, 0.0F); }

Box boxAt(const float* at, size_t columnStride) {
  const float cx = at[0], cy = at[columnStride], halfWidth = at[2 * columnStride] / 2, halfHeight = at[3 * columnStride] / 2;
  Box box;
  box.x1 = cx - halfWidth;
  box.y1 = cy - halfHeight;
  box.x2 = cx + halfWidth;
  box.y2 = cy + halfHeight;
  return box;
}

}  // namespace

bool findBoxTable(const std::vector<int64_t>& shape, size_t labelCount, BoxTable* table) {
  const size_t skip = shape.size() == 3 && shape[0] == 1 ? 1 : 0;
  if (shape.size() - skip != 2) return false;
  const size_t first = static_cast<size_t>(shape[skip]), last = static_cast<size_t>(shape[skip + 1]);
  const size_t wanted = labelCount > 0 ? kBoxColumns + labelCount : std::min(first, last);
  if (wanted <= kBoxColumns || (first != wanted && last != wanted)) return false;
  table->classes = wanted - kBoxColumns;
  table->boxes = last == wanted ? first : last;
  table->boxStride = last == wanted ? last : 1;
  table->columnStride = last == wanted ? 1 : last;
  return true;
}

void Nms::collect(const float* data, const BoxTable& table) {
  candidates_.clear();
  for (size_t row = 0; row < table.boxes; row++) {
    const float* at = data + row * table.boxStride;
    size_t index = 0;
    float score = at[kBoxColumns * table.columnStride];
    for (size_t c = 1; c < table.classes; c++) {
      const float value = at[(kBoxColumns + c) * table.columnStride];
      if (value > score) {
        score = value;
        index = c;
      }
    }
    if (score < params_.confidenceThreshold) continue;
    Box box = boxAt(at, table.columnStride);
    box.score = score;
    box.index = static_cast<int>(index);
    candidates_.push_back({row, box, areaOf(box)});
  }
}

float Nms::overlap(const Candidate& a, const Candidate& b) {
  const float width = std::min(a.box.x2, b.box.x2) - std::max(a.box.x1, b.box.x1);
  const float height = std::min(a.box.y2, b.box.y2) - std::max(a.box.y1, b.box.y1);
  if (width <= 0 || height <= 0) return 0;
  const float shared = width * height;
  return shared / ((a.area + b.area) - shared);
}

bool Nms::isSuppressed(const Candidate& candidate) const {
  return std::any_of(kept_.begin(), kept_.end(), [&](const Candidate& better) {
    return better.box.index == candidate.box.index && overlap(better, candidate) > params_.iouThreshold;
  });
}

void Nms::run(const float* data, const BoxTable& table, std::vector<Box>* boxes) {
  collect(data, table);
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.box.score != b.box.score ? a.box.score > b.box.score : a.row < b.row;
  });
  kept_.clear();
  boxes->clear();
  for (const Candidate& candidate : candidates_) {
    if (kept_.size() >= params_.maxBoxes) break;
    if (isSuppressed(candidate)) continue;
    kept_.push_back(candidate);
    boxes->push_back(candidate.box);
  }
}

}  // namespace selvedge
