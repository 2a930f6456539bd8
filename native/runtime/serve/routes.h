// What is at which path; the paths and answers of the TypeScript model server, and the loading of model files.
#ifndef SELVEDGE_SERVE_ROUTES_H
#define SELVEDGE_SERVE_ROUTES_H

#include <functional>
#include <string>
#include <vector>

#include "pipeline/pipeline.h"
#include "serve/http_server.h"
#include "serve/metrics.h"
#include "serve/worker.h"

namespace selvedge::serve {

class Routes : public HttpHandler {
 public:
  /// @param load - begins to load a model file for request `id`. @returns CONFLICT and the like when it cannot begin.
  using Load = std::function<Status(uint64_t id, const std::string& body)>;

  Routes(const ServeOptions& options, std::string model, std::string version, Worker* worker, Load load);

  /// The model from now on; before the first call it is still being loaded.
  void setModel(Pipeline* pipeline);
  Metrics& metrics() { return metrics_; }

  bool refuse(const HttpRequest& head, HttpResponse* response) override;
  bool handle(HttpRequest&& request, HttpResponse* response) override;
  void gone(uint64_t id) override { worker_->cancel(id); }
  void answered(bool isPost, int status, double milliseconds) override;

 private:
  enum class Route { none, server, live, ready, model, health, metrics, picture, tensors, load };
  Route find(const std::string& path) const;
  bool isModelPath(const std::string& path, const char* suffix) const;
  Status checkPost(const HttpRequest& head, Route route, int* httpStatus) const;
  HttpResponse nothingAt(const std::string& path) const;
  void readyResponse(HttpResponse* response) const;
  void healthResponse(HttpResponse* response) const;

  const ServeOptions options_;
  std::string modelName_, version_;
  Worker* worker_;
  Load load_;
  Metrics metrics_;
  bool isReady_ = false;
  std::string metadata_;
};

}  // namespace selvedge::serve

#endif
