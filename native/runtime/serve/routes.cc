#include "serve/routes.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include "serve/infer_response.h"
#include "serve/problem.h"

namespace selvedge::serve {

namespace {

constexpr const char* kServerVersion = "0.1.0";
constexpr int64_t kMaxLoadBytes = 64 * 1024;

/// As JavaScript's encodeURIComponent.
std::string encodeSegment(const std::string& text) {
  std::string encoded;
  for (char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    const bool isPlain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                         (byte != 0 && std::strchr("-_.!~*'()", byte) != nullptr);
    char escape[4];
    std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned>(byte));
    encoded += isPlain ? std::string(1, letter) : escape;
  }
  return encoded;
}

bool isPictureType(const std::string& type) {
  return type.empty() || type == "image/jpeg" || type == "image/png" || type == "application/octet-stream";
}

}  // namespace

Routes::Routes(const ServeOptions& options, std::string model, std::string version, Worker* worker, Load load)
    : options_(options), modelName_(std::move(model)), version_(std::move(version)), worker_(worker), load_(std::move(load)) {}

void Routes::setModel(Pipeline* pipeline) {
  modelName_ = pipeline->info().model;
  version_ = pipeline->info().version;
  metadata_ = modelMetadata(pipeline->info(), pipeline->engine().inputs(), pipeline->engine().outputs());
  isReady_ = true;
}

void Routes::answered(bool isPost, int status, double milliseconds) {
  if (isPost) metrics_.observe(status, milliseconds / 1000);
}

/// Whether the path is our model's, with or without our version.
bool Routes::isModelPath(const std::string& path, const char* suffix) const {
  const std::string base = "/v2/models/" + encodeSegment(modelName_);
  return path == base + suffix || path == base + "/versions/" + encodeSegment(version_) + suffix;
}

Routes::Route Routes::find(const std::string& path) const {
  if (path == "/v1/infer") return Route::picture;
  if (path == "/health") return Route::health;
  if (path == "/metrics") return Route::metrics;
  if (path == "/v2") return Route::server;
  if (path == "/v2/health/live") return Route::live;
  if (path == "/v2/health/ready") return Route::ready;
  if (isModelPath(path, "/infer")) return Route::tensors;
  if (isModelPath(path, "/ready")) return Route::ready;
  if (isModelPath(path, "")) return Route::model;
  if (path == "/v2/repository/models/" + encodeSegment(modelName_) + "/load") return Route::load;
  return Route::none;
}

Status Routes::checkPost(const HttpRequest& head, Route route, int* httpStatus) const {
  if (route == Route::load) {
    if (!options_.allowReload) return Status::error("FORBIDDEN", "This server was not started with --allow-reload.");
    if (head.contentLength > kMaxLoadBytes) return Status::error("PAYLOAD_TOO_LARGE", "A load request may have 65536 bytes.");
    return isReady_ ? Status::ok() : Status::error("WORKLOAD_NOT_SERVING", "The model is still being loaded.");
  }
  if (route == Route::picture && !isPictureType(head.contentType))
    return Status::error("UNSUPPORTED_MEDIA", "A body of type \"" + head.contentType.substr(0, 100) +
                                                  "\" is not read here; send one of image/jpeg, image/png, application/octet-stream.");
  if (!head.hasBody) {
    *httpStatus = 411;
    return Status::error("INPUT_INVALID", "The request has no body; send it with Content-Length or chunked.");
  }
  if (!isReady_) return Status::error("WORKLOAD_NOT_SERVING", "The model is still being loaded.");
  if (head.contentLength > options_.maxBodyBytes)
    return Status::error("PAYLOAD_TOO_LARGE", "A request body may have " + std::to_string(options_.maxBodyBytes) + " bytes.");
  if (!worker_->hasRoom()) return Status::error("RATE_LIMITED", std::to_string(options_.queueLimit) + " requests wait already.");
  return Status::ok();
}

HttpResponse Routes::nothingAt(const std::string& path) const {
  const std::string message = "There is nothing at " + path.substr(0, 200) + "; this server has the model \"" + modelName_ + "\".";
  return errorResponse(Status::error("NOT_FOUND", message), errorForm(path));
}

bool Routes::refuse(const HttpRequest& head, HttpResponse* response) {
  const Route route = find(head.path);
  const ErrorForm form = errorForm(head.path);
  const bool takesPost = route == Route::picture || route == Route::tensors || route == Route::load;
  if (route == Route::none) {
    *response = nothingAt(head.path);
    return true;
  }
  if (takesPost ? head.method != "POST" : head.method != "GET" && head.method != "HEAD") {
    const std::string allowed = takesPost ? "POST" : "GET";
    *response = errorResponse(Status::error("INPUT_INVALID", "Only " + allowed + " is answered here."), form, 405);
    response->headers += "Allow: " + std::string(takesPost ? "POST" : "GET, HEAD") + "\r\n";
    return true;
  }
  int httpStatus = 0;
  const Status status = takesPost ? checkPost(head, route, &httpStatus) : Status::ok();
  if (status.isOk()) return false;
  *response = errorResponse(status, form, httpStatus);
  return true;
}

bool Routes::handle(HttpRequest&& request, HttpResponse* response) {
  const Route route = find(request.path);
  switch (route) {
    case Route::picture:
    case Route::tensors: {
      const std::string path = request.path;
      Job job{route == Route::tensors ? Job::Kind::tensors : Job::Kind::picture, std::move(request)};
      if (worker_->submit(std::move(job))) return false;
      *response = errorResponse(Status::error("RATE_LIMITED", std::to_string(options_.queueLimit) + " requests wait already."), errorForm(path));
      return true;
    }
    case Route::load: {
      const Status status = load_(request.id, request.body);
      if (status.isOk()) return false;
      *response = errorResponse(status, ErrorForm::protocol);
      return true;
    }
    case Route::server:
      response->body = std::string("{\"name\":\"selvedge-model-server\",\"version\":\"") + kServerVersion + "\",\"extensions\":[\"binary_tensor_data\"" +
                       (options_.allowReload ? ",\"model_repository\"]}" : "]}");
      return true;
    case Route::live:
      response->body = "{\"live\":true}";
      return true;
    case Route::ready:
      readyResponse(response);
      return true;
    case Route::model:
      response->body = metadata_;
      if (!isReady_) *response = errorResponse(Status::error("WORKLOAD_NOT_SERVING", "The model is still being loaded."), ErrorForm::protocol);
      return true;
    case Route::metrics:
      response->contentType = "text/plain; version=0.0.4; charset=utf-8";
      response->body = metrics_.text(modelName_, version_, worker_->length());
      return true;
    case Route::health:
      healthResponse(response);
      return true;
    case Route::none:
      break;
  }
  // A reload between head and end of the request has changed the model's version.
  *response = nothingAt(request.path);
  return true;
}

void Routes::readyResponse(HttpResponse* response) const {
  response->status = isReady_ ? 200 : 503;
  response->body = "{\"ready\":false,\"error\":\"the model is still being loaded\"}";
  if (!isReady_) return;
  response->body = "{\"ready\":true,\"name\":";
  appendJsonString(modelName_, &response->body);
  response->body += '}';
}

void Routes::healthResponse(HttpResponse* response) const {
  response->status = isReady_ ? 200 : 503;
  std::string& body = response->body;
  body = std::string("{\"status\":\"") + (isReady_ ? "ok" : "starting") + "\",\"model\":";
  appendJsonString(modelName_, &body);
  body += ",\"version\":";
  appendJsonString(version_, &body);
  body += '}';
}

}  // namespace selvedge::serve
