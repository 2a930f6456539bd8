// Makes the model that is linked in the one that the runtime opens.
#include "engine/engine.h"
#include "engine/xnnpack/model.h"

namespace selvedge {

Status openEngine(const EngineOptions& options, std::unique_ptr<Engine>* engine) {
  return xnnpack::openModel(xnnpack::kModel, options, engine);
}

}  // namespace selvedge
