#include "serve/server.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include <event2/event.h>

#include "base/exit_code.h"
#include "serve/agent_channel.h"
#include "serve/http_server.h"
#include "serve/log.h"
#include "serve/model_loader.h"
#include "serve/problem.h"
#include "serve/routes.h"
#include "serve/worker.h"

namespace selvedge {

namespace serve {
namespace {

/// The event loop and what hangs on it. Everything here runs on the loop's thread; worker and loader only wake it.
class ModelServer : public AgentOrders {
 public:
  ModelServer(const PipelineOptions& pipeline, const ServeOptions& options, const PipelineFactory& open)
      : pipelineOptions_(pipeline),
        options_(options),
        base_(event_base_new()),
        wakeFd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        worker_(static_cast<size_t>(options.queueLimit), [this] { wake(); }),
        loader_(open, [this] { wake(); }) {}

  int run();

 private:
  void takeConnection(int fd, bool isKept) override { http_->take(fd, isKept ? Origin::kept : Origin::handed); }
  double oldestRequestMs() override { return http_->oldestRequestMs(); }
  void drain(bool givesBack) override {
    // Only the agent says this, so there is a channel.
    const auto giveBack = [this](int fd) { channel_->output().sendSocket("{\"type\":\"connection\"}", fd); };
    http_->drain(false, givesBack ? GiveBack(giveBack) : nullptr, [this] { tell("{\"type\":\"drained\"}"); });
  }
  void resume() override { http_->resume(); }
  // Nothing is waited for, not even threads: the agent that would read the answers is gone.
  [[noreturn]] void parentGone() override { _exit(0); }

  void wake() {
    const uint64_t one = 1;
    // Only a full counter could refuse this, and then the loop is awake.
    if (write(wakeFd_, &one, sizeof one) < 0) return;
  }
  void tell(const std::string& json) {
    if (channel_ != nullptr) channel_->output().send(json);
  }
  bool begin();
  void watch(int fd, short what, event_callback_fn callback);
  void joinAgent();
  void fail(const Status& status);
  void onAwake();
  void onLoaded(LoadedModel&& loaded);
  Status load(uint64_t id, const std::string& body);
  void onHangup();
  void onEnd();
  void end(int code);

  PipelineOptions pipelineOptions_;
  const ServeOptions options_;
  event_base* base_;
  int wakeFd_;
  Worker worker_;
  ModelLoader loader_;
  std::unique_ptr<Routes> routes_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<AgentChannel> channel_;
  std::vector<event*> events_;
  bool isServing_ = false, isEnding_ = false, reloadAgain_ = false;
  /// Request that waits for the load under way; 0 without one.
  uint64_t loadRequest_ = 0;
  int exitCode_ = 0;
};

void ModelServer::watch(int fd, short what, event_callback_fn callback) {
  event* made = event_new(base_, fd, static_cast<short>(what | EV_PERSIST), callback, this);
  events_.push_back(made);
  event_add(made, nullptr);
}

void ModelServer::joinAgent() {
  const char* channelFd = std::getenv("NODE_CHANNEL_FD");
  const int fd = channelFd == nullptr ? -1 : std::atoi(channelFd);
  if (options_.agentChannel && fd > 2) channel_ = std::make_unique<AgentChannel>(base_, fd, this);
  const char* withParent = std::getenv("SELVEDGE_EXIT_WITH_PARENT");
  struct stat input{};
  const bool isPipe = fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode));
  if (withParent == nullptr || std::strcmp(withParent, "1") != 0 || !isPipe) return;
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  watch(STDIN_FILENO, EV_READ, [](evutil_socket_t in, short, void* self) {
    char ignored[256];
    const ssize_t size = read(in, ignored, sizeof ignored);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) static_cast<ModelServer*>(self)->parentGone();
  });
}

bool ModelServer::begin() {
  std::string model, version;
  readPackageName(pipelineOptions_.folder, &model, &version);
  routes_ = std::make_unique<Routes>(options_, model, version, &worker_, [this](uint64_t id, const std::string& body) { return load(id, body); });
  http_ = std::make_unique<HttpServer>(base_, options_, routes_.get());
  joinAgent();
  int port = options_.port;
  const Status status = http_->listen(options_.host, &port);
  if (!status.isOk()) {
    fail(status);
    return false;
  }
  watch(wakeFd_, EV_READ, [](evutil_socket_t, short, void* self) { static_cast<ModelServer*>(self)->onAwake(); });
  watch(SIGTERM, EV_SIGNAL, [](evutil_socket_t, short, void* self) { static_cast<ModelServer*>(self)->onEnd(); });
  watch(SIGINT, EV_SIGNAL, [](evutil_socket_t, short, void* self) { static_cast<ModelServer*>(self)->onEnd(); });
  watch(SIGHUP, EV_SIGNAL, [](evutil_socket_t, short, void* self) { static_cast<ModelServer*>(self)->onHangup(); });
  tell("{\"type\":\"listening\",\"port\":" + std::to_string(port) + "}");
  std::printf("{\"event\":\"listening\",\"port\":%d}\n", port);
  std::fflush(stdout);
  return true;
}

int ModelServer::run() {
  if (base_ == nullptr || wakeFd_ < 0) {
    logLine("error", "the event loop cannot be made");
    return 1;
  }
  if (begin()) {
    loader_.start(pipelineOptions_);
    event_base_dispatch(base_);
  }
  if (channel_ != nullptr) channel_->output().flush();
  // A model that is being loaded or computed cannot be interrupted, and nobody waits for it any more.
  if (loader_.isBusy() || worker_.length() > 0) _exit(exitCode_);
  http_.reset();
  channel_.reset();
  for (event* each : events_) event_free(each);
  event_base_free(base_);
  close(wakeFd_);
  return exitCode_;
}

void ModelServer::end(int code) {
  exitCode_ = code;
  event_base_loopbreak(base_);
}

void ModelServer::fail(const Status& status) {
  logLine("error", "the package cannot be served", {{"code", status.code()}, {"error", status.message()}});
  std::string message = "{\"type\":\"failed\",\"code\":";
  appendJsonString(status.code(), &message);
  message += ",\"message\":";
  appendJsonString(status.message(), &message);
  tell(message + "}");
  end(exitCodeOf(status));
}

void ModelServer::onAwake() {
  uint64_t count = 0;
  if (read(wakeFd_, &count, sizeof count) < 0 && errno != EAGAIN) logLine("warn", "the wake-up descriptor cannot be read");
  for (Outcome& outcome : worker_.takeOutcomes()) {
    routes_->metrics().addStages(outcome.times);
    routes_->metrics().addResult(outcome.first);
    http_->answer(outcome.id, std::move(outcome.response));
  }
  LoadedModel loaded;
  if (loader_.take(&loaded)) onLoaded(std::move(loaded));
}

void ModelServer::onLoaded(LoadedModel&& loaded) {
  const uint64_t request = std::exchange(loadRequest_, 0);
  if (!loaded.status.isOk() && !isServing_) {
    fail(loaded.status);
    return;
  }
  if (isServing_) routes_->metrics().addReload(loaded.status.isOk());
  if (loaded.status.isOk()) {
    char milliseconds[32], difference[32];
    std::snprintf(milliseconds, sizeof milliseconds, "%.0f", loaded.loadMs);
    std::snprintf(difference, sizeof difference, "%g", loaded.selfTestDifference);
    const PackageInfo& info = loaded.pipeline->info();
    logLine("info", isServing_ ? "the model was changed" : "the model is ready",
            {{"model", info.model}, {"version", info.version}, {"selfTest", difference}, {"loadMs", milliseconds}});
    pipelineOptions_.modelPath = loaded.modelPath;
    routes_->setModel(loaded.pipeline.get());
    worker_.change(std::move(loaded.pipeline));
    if (!std::exchange(isServing_, true)) tell("{\"type\":\"ready\"}");
    if (request != 0) http_->answer(request, HttpResponse{200, "application/json", "", "{}"});
  } else {
    logLine("error", "the model file was not taken; the old one goes on serving", {{"code", loaded.status.code()}, {"error", loaded.status.message()}});
    if (request != 0) http_->answer(request, errorResponse(loaded.status, ErrorForm::protocol, 422));
  }
  if (std::exchange(reloadAgain_, false) && !isEnding_) loader_.start(pipelineOptions_);
}

Status ModelServer::load(uint64_t id, const std::string& body) {
  if (loader_.isBusy()) return Status::error("CONFLICT", "A model is being loaded already.");
  std::string file;
  Status status = parseLoadRequest(Bytes{reinterpret_cast<const uint8_t*>(body.data()), body.size()}, &file);
  PipelineOptions options = pipelineOptions_;
  if (status.isOk() && !file.empty()) status = confineModelFile(options.folder, file, &options.modelPath);
  if (!status.isOk()) return status;
  loadRequest_ = id;
  loader_.start(options);
  return status;
}

void ModelServer::onHangup() {
  if (!isServing_ || isEnding_) return;
  // The file may have changed after the load under way has read it.
  if (loader_.isBusy()) reloadAgain_ = true;
  else loader_.start(pipelineOptions_);
}

void ModelServer::onEnd() {
  if (std::exchange(isEnding_, true)) {
    end(0);  // asked twice: at once
    return;
  }
  const timeval limit{options_.drainMs / 1000, options_.drainMs % 1000 * 1000};
  event_base_once(base_, -1, EV_TIMEOUT, [](evutil_socket_t, short, void* self) { static_cast<ModelServer*>(self)->end(0); }, this, &limit);
  http_->drain(true, nullptr, [this] {
    // A drain of the agent may have begun to give connections back.
    if (channel_ == nullptr) end(0);
    else channel_->output().whenHandedOver([this] { end(0); });
  });
}

}  // namespace
}  // namespace serve

int runServer(const PipelineOptions& pipeline, const ServeOptions& options, const PipelineFactory& open) {
  // Two arenas are enough for two busy threads; one per loader thread would let the heap grow with each change of the model.
  mallopt(M_ARENA_MAX, 2);
  std::signal(SIGPIPE, SIG_IGN);
  serve::ModelServer server(pipeline, options, open);
  return server.run();
}

}  // namespace selvedge
