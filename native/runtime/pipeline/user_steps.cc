#include "pipeline/user_steps.h"

#include <rapidjson/document.h>

#include "selvedge_step.h"

namespace selvedge {
namespace {

constexpr int kMaxEdge = 1 << 16;
constexpr int64_t kMaxPixels = 64LL * 1000 * 1000;

Status stepFault(const Step& step, const std::string& why) {
  return Status::error("STEP_FAILED", std::string("The step \"") + step.name + "\" failed: " + why);
}

bool isWhole(const Picture& picture) {
  const int64_t pixels = static_cast<int64_t>(picture.width) * picture.height;
  return picture.width >= 1 && picture.width <= kMaxEdge && picture.height >= 1 && picture.height <= kMaxEdge && pixels <= kMaxPixels &&
         picture.rgb.size() == static_cast<size_t>(pixels) * 3;
}

void fillView(const Result& result, const PictureTransform& transform, ResultView* view) {
  for (const ScoredClass& entry : result.classes) view->classes.push_back({entry.index, entry.score});
  for (const Box& box : result.boxes) {
    const Box source = boxToSource(box, transform);
    view->boxes.push_back({box.x1, box.y1, box.x2, box.y2, box.score, box.index, source.x1, source.y1, source.x2, source.y2});
  }
}

void takeView(const ResultView& view, Result* result) {
  result->classes.clear();
  for (const ResultView::Class& entry : view.classes) result->classes.push_back({entry.index, entry.score});
  result->boxes.clear();
  for (const ResultView::Box& box : view.boxes) {
    Box taken;
    taken.x1 = box.x1;
    taken.y1 = box.y1;
    taken.x2 = box.x2;
    taken.y2 = box.y2;
    taken.score = box.score;
    taken.index = box.index;
    result->boxes.push_back(taken);
  }
  result->hasClasses = result->hasClasses || !view.classes.empty();
  result->hasBoxes = result->hasBoxes || !view.boxes.empty();
}

}  // namespace

bool hasPreSteps() {
  for (const Step* step = firstStep; step != nullptr; step = step->next) {
    if (step->pre != nullptr) return true;
  }
  return false;
}

bool hasPostSteps() {
  for (const Step* step = firstStep; step != nullptr; step = step->next) {
    if (step->post != nullptr) return true;
  }
  return false;
}

std::vector<StepName> stepNames() {
  std::vector<StepName> names;
  for (const Step* step = firstStep; step != nullptr; step = step->next) names.push_back({step->pre != nullptr, step->name});
  return names;
}

Status runPreSteps(Image* image) {
  if (!hasPreSteps()) return Status::ok();
  Picture picture;
  picture.rgb.swap(image->rgb);
  picture.width = image->width;
  picture.height = image->height;
  Status status;
  std::string why;
  for (const Step* step = firstStep; step != nullptr && status.isOk(); step = step->next) {
    if (step->pre == nullptr) continue;
    if (!step->pre(picture, &why)) status = stepFault(*step, why);
    else if (!isWhole(picture)) status = stepFault(*step, "it left a picture whose pixels do not fill its width and height.");
  }
  image->rgb.swap(picture.rgb);
  if (!status.isOk()) return status;
  if (picture.width != image->width || picture.height != image->height) {
    // Boxes are then in pixels of the picture that the step made: how it came about is known to the step alone.
    image->sourceWidth = picture.width;
    image->sourceHeight = picture.height;
  }
  image->width = picture.width;
  image->height = picture.height;
  return Status::ok();
}

Status runPostSteps(const std::vector<std::string>& labels, const PictureTransform& transform, Result* result, std::string* extra) {
  extra->clear();
  if (!hasPostSteps()) return Status::ok();
  ResultView view{{}, {}, labels, {}};
  fillView(*result, transform, &view);
  std::string why;
  for (const Step* step = firstStep; step != nullptr; step = step->next) {
    if (step->post == nullptr) continue;
    if (!step->post(view, &why)) return stepFault(*step, why);
    if (view.extra.empty()) continue;
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(view.extra.data(), view.extra.size());
    if (document.HasParseError()) return stepFault(*step, "what it put into \"extra\" is not JSON.");
  }
  takeView(view, result);
  *extra = std::move(view.extra);
  return Status::ok();
}

}  // namespace selvedge
