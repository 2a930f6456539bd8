#include "ops/chain_spec.h"

#include <cfloat>
#include <string>

#include "ops/spec_reader.h"

namespace selvedge {

namespace {

constexpr int64_t kMaxOutputEdge = 16384;
constexpr float kLetterboxFill = 114;

const char* const kNames[] = {"resize", "letterbox", "centercrop", "grayscale", "hwctochw", "scale", "normalize"};

const char* nameOf(PreprocOp op) { return kNames[static_cast<size_t>(op)]; }

bool readSize(const rapidjson::Value* value, Size* size) {
  return value != nullptr && value->IsArray() && value->Size() == 2 && readInt(&(*value)[0], 1, kMaxOutputEdge, &size->height) &&
         readInt(&(*value)[1], 1, kMaxOutputEdge, &size->width);
}

bool readFloat(const rapidjson::Value* value, float* out) {
  if (!isNumberIn(value, -FLT_MAX, FLT_MAX)) return false;
  *out = static_cast<float>(value->GetDouble());
  return true;
}

bool readScale(const rapidjson::Value* value, ChainStep* step) {
  if (value == nullptr || !value->IsArray() || value->Size() != 2) return false;
  const rapidjson::Value& lo = (*value)[0];
  const rapidjson::Value& hi = (*value)[1];
  if (!readFloat(&lo, &step->lo) || !isNumberIn(&hi, -FLT_MAX, FLT_MAX) || lo.GetDouble() >= hi.GetDouble()) return false;
  step->factor = static_cast<float>((hi.GetDouble() - lo.GetDouble()) / 255);
  return true;
}

bool readNormalize(const rapidjson::Value* value, ChainStep* step) {
  const rapidjson::Value* mean = member(value, "mean");
  const rapidjson::Value* std = member(value, "std");
  if (mean == nullptr || std == nullptr || !mean->IsArray() || !std->IsArray() || mean->Size() != std->Size()) return false;
  if (mean->Size() < 1 || mean->Size() > kMaxChannels) return false;
  step->values = static_cast<int>(mean->Size());
  for (rapidjson::SizeType i = 0; i < mean->Size(); i++) {
    if (!readFloat(&(*mean)[i], &step->mean[i]) || !readFloat(&(*std)[i], &step->std[i]) || (*std)[i].GetDouble() <= 0) return false;
  }
  return true;
}

bool readLetterbox(const rapidjson::Value* value, ChainStep* step) {
  step->fill = kLetterboxFill;
  const rapidjson::Value* fill = member(value, "fill");
  if (fill != nullptr && (!isNumberIn(fill, 0, 255) || !readFloat(fill, &step->fill))) return false;
  return readSize(member(value, "size"), &step->size);
}

bool readParams(const rapidjson::Value* value, ChainStep* step) {
  switch (step->op) {
    case PreprocOp::resize:
    case PreprocOp::centercrop: return readSize(value, &step->size);
    case PreprocOp::letterbox: return readLetterbox(value, step);
    case PreprocOp::scale: return readScale(value, step);
    case PreprocOp::normalize: return readNormalize(value, step);
    case PreprocOp::grayscale:
    case PreprocOp::hwctochw: return true;
  }
  return false;
}

}  // namespace

Status parseChain(const rapidjson::Value& spec, std::vector<ChainStep>* steps) {
  std::vector<std::string> ops;
  Status status = readOps(spec, {std::begin(kNames), std::end(kNames)}, &ops);
  if (!status.isOk()) return status;
  steps->clear();
  for (const std::string& name : ops) {
    ChainStep step;
    for (size_t i = 0; i < std::size(kNames); i++) {
      if (name == kNames[i]) step.op = static_cast<PreprocOp>(i);
    }
    if (!readParams(member(member(&spec, "params"), name.c_str()), &step)) {
      return invalidSpec("the parameters of \"" + name + "\" are missing or out of range");
    }
    steps->push_back(step);
  }
  return Status::ok();
}

Status chainOutput(const std::vector<ChainStep>& steps, PictureForm form, PictureForm* out) {
  for (const ChainStep& step : steps) {
    const std::string name = nameOf(step.op);
    const bool isValueOp = step.op == PreprocOp::scale || step.op == PreprocOp::normalize;
    if (!isValueOp && form.channelsFirst) return invalidSpec("\"" + name + "\" works on HWC pixels and must come before \"hwctochw\"");
    if (step.op == PreprocOp::hwctochw) form.channelsFirst = true;
    if (step.size.height > 0) form.size = step.size;
    if (step.op == PreprocOp::grayscale) {
      if (form.channels != 1 && form.channels != 3) return invalidSpec("\"grayscale\" needs 1 or 3 channels");
      form.channels = 1;
    }
    if (step.op == PreprocOp::normalize && step.values != 1 && step.values != form.channels) {
      return invalidSpec("\"normalize\" has " + std::to_string(step.values) + " values for " + std::to_string(form.channels) +
                         " channel(s)");
    }
  }
  *out = form;
  return Status::ok();
}

}  // namespace selvedge
