#include "serve/worker.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include "serve/infer_request.h"
#include "serve/infer_response.h"
#include "serve/problem.h"

namespace selvedge::serve {

namespace {

Bytes bytesOf(const std::string& text) { return Bytes{reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

Status inferTensors(const HttpRequest& request, Pipeline* pipeline, Outcome* outcome) {
  Engine& engine = pipeline->engine();
  InferLimits limits;
  for (const TensorInfo& input : engine.inputs())
    if (input.elements() > limits.values) limits.values = input.elements();
  InferRequest asked;
  Status status = parseInferRequest(bytesOf(request.body), request.hasTensorHeader ? &request.tensorHeader : nullptr, limits, &asked);
  if (status.isOk()) status = checkOutputs(asked, engine);
  if (status.isOk()) status = fillInputs(asked, &engine);
  if (!status.isOk()) return status;
  const double startedAtMs = nowMs();
  status = engine.run();
  outcome->times.inferMs = nowMs() - startedAtMs;
  if (status.isOk()) outcome->response = tensorResponse(asked, pipeline->info(), engine);
  return status;
}

Status inferPicture(const HttpRequest& request, Pipeline* pipeline, Outcome* outcome) {
  Result result;
  const Status status = pipeline->inferEncoded(bytesOf(request.body), &result, &outcome->times);
  // The decoder knows inputs only; the interface names a picture that cannot be read as such.
  if (!status.isOk() && std::strcmp(status.code(), "INPUT_INVALID") == 0) return Status::error("IMAGE_UNREADABLE", status.message());
  if (!status.isOk()) return status;
  char latency[32];
  std::string& body = outcome->response.body;
  body = "{\"model\":";
  appendJsonString(pipeline->info().model, &body);
  body += ",\"version\":";
  appendJsonString(pipeline->info().version, &body);
  outcome->first = firstOf(result, pipeline->info().labels);
  std::string resultJson;
  pipeline->resultJson(result, &resultJson);
  std::snprintf(latency, sizeof latency, "%.4f", nowMs() - request.startedAtMs);
  body += std::string(",\"latencyMs\":") + latency + ",\"result\":" + resultJson + "}";
  return status;
}

}  // namespace

Worker::Worker(size_t limit, std::function<void()> wake) : limit_(limit), wake_(std::move(wake)), thread_([this] { work(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    isEnding_ = true;
    queue_.clear();
  }
  changed_.notify_one();
  thread_.join();
}

bool Worker::hasRoom() { return length() < limit_; }

size_t Worker::length() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return queue_.size() + (isComputing_ ? 1 : 0);
}

bool Worker::submit(Job&& job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.size() + (isComputing_ ? 1 : 0) >= limit_) return false;
    queue_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void Worker::cancel(uint64_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto job = queue_.begin(); job != queue_.end(); ++job) {
    if (job->request.id != id) continue;
    queue_.erase(job);
    return;
  }
}

void Worker::change(std::unique_ptr<Pipeline> pipeline) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    next_ = std::move(pipeline);
  }
  changed_.notify_one();
}

std::vector<Outcome> Worker::takeOutcomes() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(outcomes_, {});
}

void Worker::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!isEnding_) {
    if (next_ != nullptr) {
      std::unique_ptr<Pipeline> old = std::exchange(pipeline_, std::exchange(next_, nullptr));
      lock.unlock();
      old.reset();
      lock.lock();
    } else if (!queue_.empty()) {
      runOne(&lock);
    } else {
      changed_.wait(lock);
    }
  }
}

void Worker::runOne(std::unique_lock<std::mutex>* lock) {
  const Job job = std::move(queue_.front());
  queue_.pop_front();
  isComputing_ = true;
  lock->unlock();
  Outcome outcome;
  outcome.id = job.request.id;
  Status status;
  if (pipeline_ == nullptr) status = Status::error("WORKLOAD_NOT_SERVING", "The model is still being loaded.");
  else if (job.kind == Job::Kind::tensors) status = inferTensors(job.request, pipeline_.get(), &outcome);
  else status = inferPicture(job.request, pipeline_.get(), &outcome);
  if (!status.isOk()) outcome.response = errorResponse(status, errorForm(job.request.path));
  lock->lock();
  isComputing_ = false;
  outcomes_.push_back(std::move(outcome));
  if (outcomes_.size() > 1) return;  // the loop is on its way
  lock->unlock();
  wake_();
  lock->lock();
}

}  // namespace selvedge::serve
