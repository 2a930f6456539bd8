// A step that fails by throwing for small pictures, and leaves a broken picture for wide ones.
#include <stdexcept>

#include "selvedge_step.h"

SELVEDGE_PRE_STEP(demanding)(selvedge::Picture& picture) {
  if (picture.width < 16) throw std::runtime_error("the picture is only " + std::to_string(picture.width) + " pixels wide");
  if (picture.width > 64) picture.width += 1;
}
