// What a model answers, as the bodies of HTTP responses.
#ifndef SELVEDGE_SERVE_INFER_RESPONSE_H
#define SELVEDGE_SERVE_INFER_RESPONSE_H

#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "pipeline/pipeline.h"
#include "serve/http_message.h"
#include "serve/infer_request.h"

namespace selvedge::serve {

/// Refuses outputs that the model does not have. @returns INPUT_INVALID.
Status checkOutputs(const InferRequest& request, const Engine& engine);

/// The outputs of the engine's last run: tensors in JSON, or behind it where the request wants them in binary.
HttpResponse tensorResponse(const InferRequest& request, const PackageInfo& info, const Engine& engine);

/// Body of GET /v2/models/NAME.
std::string modelMetadata(const PackageInfo& info, const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs);

}  // namespace selvedge::serve

#endif
