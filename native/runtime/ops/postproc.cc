#include "ops/postproc.h"

#include <algorithm>
#include <cmath>

#include "ops/nms.h"
#include "ops/scores.h"
#include "ops/spec_reader.h"

namespace selvedge {

namespace {

constexpr int64_t kMaxK = 1000;
constexpr int64_t kMaxBoxes = 10000;

/// The chain as plain values.
struct PostprocPlan {
  std::vector<Activation> activations;
  bool hasNms = false, hasTopk = false, isClassifier = false;
  size_t k = 1;
  NmsParams nms;
  BoxTable table;
};

/// Copies an output in the order of its shape.
void copyAsShape(const TensorInfo& info, const float* from, std::vector<float>* to) {
  const size_t count = info.elements();
  if (info.order == MemoryOrder::asShape || info.shape.size() != 4) {
    to->assign(from, from + count);
    return;
  }
  to->resize(count);
  const size_t batch = static_cast<size_t>(info.shape[0]), channels = static_cast<size_t>(info.shape[1]);
  const size_t pixels = static_cast<size_t>(info.shape[2]) * static_cast<size_t>(info.shape[3]);
  for (size_t n = 0; n < batch; n++) {
    for (size_t c = 0; c < channels; c++) {
      for (size_t p = 0; p < pixels; p++) (*to)[(n * channels + c) * pixels + p] = from[(n * pixels + p) * channels + c];
    }
  }
}

class ChainPostproc : public Postproc {
 public:
  ChainPostproc(const PostprocPlan& plan, TensorInfo output) : plan_(plan), output_(std::move(output)), nms_(plan.nms) {}

  Status run(const Engine& engine, const PictureTransform&, PictureSize, Result* result) override {
    // Activations work in place, on the result's own copy.
    copyAsShape(output_, static_cast<const float*>(engine.outputData(0)), &result->scores);
    std::vector<float>& scores = result->scores;
    const auto bad = std::find_if(scores.begin(), scores.end(), [](float value) { return !std::isfinite(value); });
    if (bad != scores.end()) {
      return Status::error("PREPROC_INVALID", "The output of the model cannot be post-processed: value " +
                                                  std::to_string(bad - scores.begin()) + " is not a finite number.");
    }
    result->hasClasses = plan_.isClassifier;
    result->hasBoxes = plan_.hasNms;
    result->hasScores = !plan_.hasNms && !plan_.hasTopk;
    if (plan_.hasNms) {
      detect(result);
    } else if (plan_.isClassifier) {
      for (Activation activation : plan_.activations) activate(activation, scores.data(), scores.size(), 1);
      topk(scores, plan_.k, &result->classes);
    }
    result->shape = output_.shape;
    return Status::ok();
  }

 private:
  void detect(Result* result) {
    float* data = result->scores.data();
    const BoxTable& table = plan_.table;
    for (Activation activation : plan_.activations) {
      for (size_t box = 0; box < table.boxes; box++) {
        activate(activation, data + box * table.boxStride + kBoxColumns * table.columnStride, table.classes, table.columnStride);
      }
    }
    nms_.run(data, table, &result->boxes);
    if (plan_.hasTopk && result->boxes.size() > plan_.k) result->boxes.resize(plan_.k);
  }

  PostprocPlan plan_;
  TensorInfo output_;
  Nms nms_;
};

Status readNms(const rapidjson::Value* params, NmsParams* nms) {
  const rapidjson::Value* iou = member(params, "IoU_thr");
  const rapidjson::Value* confidence = member(params, "conf_thr");
  const rapidjson::Value* maxBoxes = member(params, "max_boxes");
  int64_t limit = 300;
  if (!isNumberIn(iou, 0, 1) || !isNumberIn(confidence, 0, 1) || (maxBoxes != nullptr && !readInt(maxBoxes, 1, kMaxBoxes, &limit))) {
    return invalidSpec("the parameters of \"nms\" are missing or out of range");
  }
  nms->iouThreshold = static_cast<float>(iou->GetDouble());
  nms->confidenceThreshold = static_cast<float>(confidence->GetDouble());
  nms->maxBoxes = static_cast<size_t>(limit);
  return Status::ok();
}

Status readPlan(const rapidjson::Value& spec, PostprocPlan* plan) {
  std::vector<std::string> ops;
  Status status = readOps(spec, {"softmax", "sigmoid", "topk", "nms"}, &ops);
  if (!status.isOk()) return status;
  const rapidjson::Value* params = member(&spec, "params");
  for (const std::string& op : ops) {
    if (op != "topk" && (plan->hasTopk || plan->hasNms)) {
      return invalidSpec("\"" + op + "\" cannot come after \"topk\" or \"nms\": these end in a list, not in a tensor");
    }
    if (op == "softmax") plan->activations.push_back(Activation::softmax);
    if (op == "sigmoid") plan->activations.push_back(Activation::sigmoid);
    if (op == "nms") {
      plan->hasNms = true;
      status = readNms(member(params, "nms"), &plan->nms);
      if (!status.isOk()) return status;
    }
    if (op == "topk") {
      int64_t k = 0;
      if (!readInt(member(member(params, "topk"), "k"), 1, kMaxK, &k)) return invalidSpec("\"topk\" needs k of 1 to 1000");
      plan->hasTopk = true;
      plan->k = static_cast<size_t>(k);
    }
  }
  plan->isClassifier = !ops.empty() && !plan->hasNms;
  return Status::ok();
}

Status mismatch(const std::string& expected, const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t edge : shape) text += (text.empty() ? "" : ", ") + std::to_string(edge);
  return Status::error("SHAPE_MISMATCH", "The post-processing needs " + expected + " and the output of the model is [" + text + "].");
}

/// One score per class: at most one edge is not 1.
bool isVector(const std::vector<int64_t>& shape) {
  return std::count_if(shape.begin(), shape.end(), [](int64_t edge) { return edge != 1; }) <= 1;
}

Status fitToOutput(const TensorInfo& output, size_t labelCount, PostprocPlan* plan) {
  const bool isScores = isVector(output.shape) && output.elements() > 0 && (labelCount == 0 || labelCount == output.elements());
  if (plan->hasNms) {
    if (findBoxTable(output.shape, labelCount, &plan->table)) return Status::ok();
    return mismatch("boxes of shape [N, 4 + classes] or [4 + classes, N] with " + std::to_string(labelCount) + " label(s)", output.shape);
  }
  if (plan->isClassifier && !isScores) {
    return mismatch(labelCount > 0 ? std::to_string(labelCount) + " scores, one per label," : "one score per class", output.shape);
  }
  // With an empty chain, a vector with one value per label is a classification; anything else is returned as it is.
  plan->isClassifier = plan->isClassifier || (isScores && labelCount > 0);
  return Status::ok();
}

}  // namespace

Status compilePostproc(const rapidjson::Value& spec, const std::vector<TensorInfo>& outputs, size_t labelCount,
                       std::unique_ptr<Postproc>* postproc) {
  PostprocPlan plan;
  Status status = readPlan(spec, &plan);
  if (!status.isOk()) return status;
  if (outputs.empty()) return Status::error("SHAPE_MISMATCH", "The model has no output.");
  if (outputs[0].type != DataType::float32) return mismatch("float32 values", outputs[0].shape);
  status = fitToOutput(outputs[0], labelCount, &plan);
  if (!status.isOk()) return status;
  *postproc = std::make_unique<ChainPostproc>(plan, outputs[0]);
  return Status::ok();
}

Box boxToSource(const Box& box, const PictureTransform& transform) {
  Box out = box;
  out.x1 = (box.x1 - transform.offsetX) / transform.scaleX;
  out.y1 = (box.y1 - transform.offsetY) / transform.scaleY;
  out.x2 = (box.x2 - transform.offsetX) / transform.scaleX;
  out.y2 = (box.y2 - transform.offsetY) / transform.scaleY;
  return out;
}

}  // namespace selvedge
