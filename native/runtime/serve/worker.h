// The thread that computes, and the bounded queue in front of it.
#ifndef SELVEDGE_SERVE_WORKER_H
#define SELVEDGE_SERVE_WORKER_H

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/pipeline.h"
#include "serve/first_result.h"
#include "serve/http_message.h"

namespace selvedge::serve {

struct Job {
  enum class Kind { picture, tensors };
  Kind kind = Kind::picture;
  HttpRequest request;
};

struct Outcome {
  uint64_t id = 0;
  HttpResponse response;
  StageTimes times;
  /// Of a picture.
  FirstResult first;
};

/// A Pipeline is for one caller at a time: all computing happens on this one thread, and a model is changed between two jobs.
class Worker {
 public:
  /// @param limit - jobs that may wait, the one that is computed included.
  /// @param wake - called on the worker's thread when outcomes are there to be taken.
  Worker(size_t limit, std::function<void()> wake);
  /// Finishes the job that is computed; drops the others.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  bool hasRoom();
  /// @returns false when the queue is full.
  bool submit(Job&& job);
  /// Takes a job that is not begun out of the queue, at once.
  void cancel(uint64_t id);
  /// Jobs that wait or are computed.
  size_t length();
  /// The pipeline of the jobs that follow; the old one is destroyed on the worker's thread.
  void change(std::unique_ptr<Pipeline> pipeline);
  std::vector<Outcome> takeOutcomes();

 private:
  void work();
  void runOne(std::unique_lock<std::mutex>* lock);

  const size_t limit_;
  const std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;
  bool isComputing_ = false, isEnding_ = false;
  std::unique_ptr<Pipeline> next_;
  std::vector<Outcome> outcomes_;
  /// For the worker's thread only.
  std::unique_ptr<Pipeline> pipeline_;
  std::thread thread_;
};

}  // namespace selvedge::serve

#endif
