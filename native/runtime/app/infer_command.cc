#include <chrono>
#include <cstdio>

#include "app/commands.h"
#include "app/report.h"
#include "app/stop_signal.h"
#include "base/exit_code.h"
#include "input/source.h"
#include "output/annotate.h"
#include "output/json_lines.h"

namespace selvedge {
namespace {

/// One run over all inputs: a fault of a picture is written down and does not stop the others.
class InferRun {
 public:
  InferRun(const Arguments& arguments, Pipeline* pipeline, int stopFd)
      : arguments_(arguments), pipeline_(pipeline), stopFd_(stopFd), lines_(pipeline->info()) {}

  Status open() {
    if (Status status = lines_.open(arguments_.output); !status.isOk()) return status;
    return arguments_.annotateFolder.empty() ? Status::ok() : annotated_.open(arguments_.annotateFolder);
  }

  /// @returns what ended the run: ok, USAGE, INTERRUPTED, or that results cannot be written.
  Status all() {
    for (const std::string& input : arguments_.inputs) {
      if (isOver()) break;
      std::unique_ptr<Source> source;
      const SourceOptions options{arguments_.watch, stopFd_};
      Status opened = openSource(input, options, &source);
      if (opened.isOk()) {
        if (Status status = drain(source.get()); !status.isOk()) return status;
      } else if (std::string(opened.code()) == "USAGE") {
        return opened;
      } else if (Status status = fault(input, opened); !status.isOk()) {
        return status;
      }
    }
    const bool mayEndSo = !arguments_.inputs.empty() && isEndless(arguments_.inputs.back(), arguments_.watch);
    if (isStopped(stopFd_) && !mayEndSo) return Status::error("INTERRUPTED", "Stopped after " + std::to_string(index_) + " pictures.");
    return Status::ok();
  }

  uint64_t faults() const { return faults_; }

 private:
  bool isOver() const { return isStopped(stopFd_) || (arguments_.limit > 0 && index_ >= arguments_.limit); }

  Status drain(Source* source) {
    const uint64_t before = index_;
    Frame frame;
    while (!isOver()) {
      Status status;
      const Next next = source->next(&frame, &status);
      if (next == Next::end) break;
      Status written = next == Next::frame ? infer(&frame) : fault(frame.name, status);
      if (!written.isOk()) return written;
      if (next == Next::broken) break;
    }
    if (index_ == before && !isOver()) std::fprintf(stderr, "run: an input had no pictures\n");
    if (source->dropped() > 0) {
      std::fprintf(stderr, "run: %llu frames were passed over, the model being slower than the camera\n",
                   static_cast<unsigned long long>(source->dropped()));
    }
    return Status::ok();
  }

  Status fault(const std::string& name, const Status& error) {
    faults_ += 1;
    report(error);
    return lines_.fault(name, index_++, error);
  }

  Status infer(Frame* frame) {
    const auto since = std::chrono::steady_clock::now();
    StageTimes times;
    const Status status = frame->decoded ? pipeline_->inferImage(&frame->image, &result_, &times)
                                         : pipeline_->inferEncoded({frame->encoded.data(), frame->encoded.size()}, &result_, &times);
    if (!status.isOk()) return fault(frame->name, Status::error(status.code(), frame->name + ": " + status.message()));
    const double latencyMs = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
    json_.clear();
    pipeline_->resultJson(result_, &json_);
    if (!arguments_.annotateFolder.empty()) {
      if (Status written = draw(*frame); !written.isOk()) return written;
    }
    return lines_.result(frame->name, index_++, latencyMs, json_);
  }

  Status draw(const Frame& frame) {
    const Image& seen = frame.decoded ? frame.image : pipeline_->lastImage();
    if (!frame.decoded && seen.width < seen.sourceWidth) {
      // The model took it scaled down; people want to see all of it.
      if (Status status = decodeImage({frame.encoded.data(), frame.encoded.size()}, {}, &drawing_); !status.isOk()) return status;
    } else {
      drawing_ = seen;
    }
    annotate(result_, pipeline_->info().labels, pipeline_->lastTransform(), &drawing_);
    return annotated_.write(frame.name, index_, drawing_);
  }

  const Arguments& arguments_;
  Pipeline* pipeline_;
  int stopFd_;
  JsonLines lines_;
  AnnotatedFolder annotated_;
  Result result_;
  std::string json_;
  Image drawing_;
  uint64_t index_ = 0;
  uint64_t faults_ = 0;
};

}  // namespace

PipelineOptions pipelineOptions(const Arguments& arguments, const std::string& folder) {
  PipelineOptions options;
  options.folder = folder;
  options.modelPath = arguments.modelPath;
  options.threads = arguments.threads;
  return options;
}

int runInfer(const Arguments& arguments, const std::string& folder) {
  const int stopFd = openStopSignal();
  std::unique_ptr<Pipeline> pipeline;
  if (Status status = openPipeline(pipelineOptions(arguments, folder), &pipeline); !status.isOk()) return report(status);
  InferRun run(arguments, pipeline.get(), stopFd);
  if (Status status = run.open(); !status.isOk()) return report(status);
  if (Status status = run.all(); !status.isOk()) return report(status);
  return run.faults() > 0 ? kExitFailed : kExitOk;
}

}  // namespace selvedge
