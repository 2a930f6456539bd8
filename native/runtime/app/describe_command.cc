#include <cstdio>

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include "app/commands.h"
#include "app/report.h"
#include "base/exit_code.h"
#include "pipeline/manifest.h"
#include "pipeline/user_steps.h"

namespace selvedge {
namespace {

using Writer = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

const char* typeName(DataType type) {
  switch (type) {
    case DataType::float32: return "float32";
    case DataType::int64: return "int64";
    case DataType::int32: return "int32";
    case DataType::uint8: return "uint8";
  }
  return "float32";
}

void writeTensors(const char* key, const std::vector<TensorInfo>& tensors, Writer* writer) {
  writer->Key(key);
  writer->StartArray();
  for (const TensorInfo& tensor : tensors) {
    writer->StartObject();
    writer->Key("name");
    writer->String(tensor.name);
    writer->Key("dataType");
    writer->String(typeName(tensor.type));
    writer->Key("shape");
    writer->StartArray();
    for (const int64_t edge : tensor.shape) writer->Int64(edge);
    writer->EndArray();
    writer->EndObject();
  }
  writer->EndArray();
}

void writeSteps(Writer* writer) {
  writer->Key("steps");
  writer->StartArray();
  for (const StepName& step : stepNames()) {
    writer->StartObject();
    writer->Key("stage");
    writer->String(step.pre ? "pre" : "post");
    writer->Key("name");
    writer->String(step.name);
    writer->EndObject();
  }
  writer->EndArray();
}

void writeInfo(const PackageInfo& info, const std::string& engine, Writer* writer) {
  const struct {
    const char* key;
    const std::string& value;
  } texts[] = {{"model", info.model},   {"version", info.version},     {"target", info.target},
               {"engine", info.engine}, {"precision", info.precision}, {"engineDescription", engine}};
  for (const auto& [key, value] : texts) {
    writer->Key(key);
    writer->String(value);
  }
}

std::string describeJson(const Manifest& manifest, Engine* engine) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.SetIndent(' ', 2);
  writer.SetFormatOptions(rapidjson::kFormatSingleLineArray);
  writer.StartObject();
  writeInfo(manifest.info, engine->description(), &writer);
  writeTensors("inputs", engine->inputs(), &writer);
  writeTensors("outputs", engine->outputs(), &writer);
  writer.Key("labels");
  writer.StartArray();
  for (const std::string& label : manifest.info.labels) writer.String(label);
  writer.EndArray();
  writer.Key("preproc");
  manifest.preproc().Accept(writer);
  writer.Key("postproc");
  manifest.postproc().Accept(writer);
  writer.Key("dctScaling");
  writer.Bool(manifest.dctScaling);
  writeSteps(&writer);
  writer.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

std::string shapeText(const TensorInfo& tensor) {
  std::string text = tensor.name + " " + typeName(tensor.type) + " [";
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) text += (axis == 0 ? "" : ", ") + std::to_string(tensor.shape[axis]);
  return text + "]";
}

/// The chain's steps by name, e.g. "resize, hwctochw, normalize".
std::string chainText(const rapidjson::Value& spec) {
  const auto chain = spec.FindMember("pipeline");
  if (chain == spec.MemberEnd() || !chain->value.IsArray() || chain->value.Empty()) return "nothing";
  std::string text;
  for (const rapidjson::Value& step : chain->value.GetArray()) {
    if (step.IsString()) text += (text.empty() ? "" : ", ") + std::string(step.GetString());
  }
  return text;
}

void printDescription(const Manifest& manifest, Engine* engine) {
  const PackageInfo& info = manifest.info;
  std::printf("%s %s for %s\n", info.model.c_str(), info.version.c_str(), info.target.c_str());
  std::printf("  engine      %s, %s\n", engine->description().c_str(), info.precision.c_str());
  for (const TensorInfo& tensor : engine->inputs()) std::printf("  input       %s\n", shapeText(tensor).c_str());
  for (const TensorInfo& tensor : engine->outputs()) std::printf("  output      %s\n", shapeText(tensor).c_str());
  std::printf("  before      %s%s\n", chainText(manifest.preproc()).c_str(), manifest.dctScaling ? " (large JPEGs are decoded smaller)" : "");
  std::printf("  after       %s\n", chainText(manifest.postproc()).c_str());
  for (const StepName& step : stepNames()) std::printf("  own step    %s (%s)\n", step.name.c_str(), step.pre ? "before" : "after");
  constexpr size_t kShown = 20;
  std::string labels;
  for (size_t index = 0; index < info.labels.size() && index < kShown; ++index) labels += (index == 0 ? "" : ", ") + info.labels[index];
  if (info.labels.size() > kShown) labels += ", ...";
  std::printf("  labels      %zu%s%s\n", info.labels.size(), labels.empty() ? "" : ": ", labels.c_str());
}

}  // namespace

int runDescribe(const Arguments& arguments, const std::string& folder) {
  Manifest manifest;
  if (Status status = readManifest(folder, &manifest); !status.isOk()) return report(status);
  std::unique_ptr<Pipeline> pipeline;
  if (Status status = openPipeline(pipelineOptions(arguments, folder), &pipeline); !status.isOk()) return report(status);
  if (arguments.json) std::printf("%s\n", describeJson(manifest, &pipeline->engine()).c_str());
  else printDescription(manifest, &pipeline->engine());
  return kExitOk;
}

int runSelfTest(const Arguments& arguments, const std::string& folder) {
  Manifest manifest;
  if (Status status = readManifest(folder, &manifest); !status.isOk()) return report(status);
  std::unique_ptr<Pipeline> pipeline;
  if (Status status = openPipeline(pipelineOptions(arguments, folder), &pipeline); !status.isOk()) return report(status);
  double difference = 0;
  if (Status status = pipeline->selfTest(&difference); !status.isOk()) return report(status);
  if (manifest.goldenFile.empty()) std::printf("the package has no golden sample; the model was loaded\n");
  else std::printf("self-test passed, largest difference %g\n", difference);
  return kExitOk;
}

int runVersion(const std::string& folder) {
  Manifest manifest;
  if (Status status = readManifest(folder, &manifest); !status.isOk()) return report(status);
  const PackageInfo& info = manifest.info;
  std::printf("%s %s (%s, %s, %s)\n", info.model.c_str(), info.version.c_str(), info.target.c_str(), info.engine.c_str(), info.precision.c_str());
  return kExitOk;
}

}  // namespace selvedge
