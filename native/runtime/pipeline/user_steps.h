// Runs the steps that a package's own C++ sources registered (selvedge_step.h).
#ifndef SELVEDGE_PIPELINE_USER_STEPS_H
#define SELVEDGE_PIPELINE_USER_STEPS_H

#include <string>
#include <vector>

#include "base/status.h"
#include "image/image.h"
#include "ops/postproc.h"

namespace selvedge {

bool hasPreSteps();
bool hasPostSteps();

struct StepName {
  /// Before the pre-processing; else after the post-processing.
  bool pre = false;
  std::string name;
};
/// In the order of registration.
std::vector<StepName> stepNames();

/// @returns STEP_FAILED with the step's name and reason, or when it leaves a picture whose size and pixels disagree.
Status runPreSteps(Image* image);

/// @param extra - JSON that a step added, empty without.
/// @returns STEP_FAILED, also when `extra` is not JSON.
Status runPostSteps(const std::vector<std::string>& labels, const PictureTransform& transform, Result* result, std::string* extra);

}  // namespace selvedge

#endif
