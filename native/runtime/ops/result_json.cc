#include <cmath>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "ops/postproc.h"

namespace selvedge {

namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

/// A float32 as JavaScript writes it: the shortest text that reads back as the same float64; -0 is 0, infinities are null.
void writeNumber(float value, Writer* writer) {
  if (!std::isfinite(value)) {
    writer->Null();
  } else if (value == std::trunc(value) && std::fabs(value) < 1e9F) {
    writer->Int64(static_cast<int64_t>(value));
  } else {
    writer->Double(static_cast<double>(value));
  }
}

void writeNumbers(const std::vector<float>& values, Writer* writer) {
  writer->StartArray();
  for (float value : values) writeNumber(value, writer);
  writer->EndArray();
}

/// The members label, index and score.
void writeClass(int index, float score, const std::vector<std::string>& labels, Writer* writer) {
  writer->Key("label");
  writer->String(classLabel(index, labels));
  writer->Key("index");
  writer->Int(index);
  writer->Key("score");
  writeNumber(score, writer);
}

void writeClassObject(const ScoredClass& entry, const std::vector<std::string>& labels, Writer* writer) {
  writer->StartObject();
  writeClass(entry.index, entry.score, labels, writer);
  writer->EndObject();
}

void writeBoxes(const std::vector<Box>& boxes, const std::vector<std::string>& labels, Writer* writer) {
  writer->Key("boxes");
  writer->StartArray();
  for (const Box& box : boxes) {
    writer->StartObject();
    writer->Key("box");
    writer->StartArray();
    for (float edge : {box.x1, box.y1, box.x2, box.y2}) writeNumber(edge, writer);
    writer->EndArray();
    writeClass(box.index, box.score, labels, writer);
    writer->EndObject();
  }
  writer->EndArray();
}

void writeTopk(const Result& result, const std::vector<std::string>& labels, Writer* writer) {
  writer->Key("topk");
  writer->StartArray();
  for (const ScoredClass& entry : result.classes) writeClassObject(entry, labels, writer);
  writer->EndArray();
}

void writeTensor(const Result& result, Writer* writer) {
  writer->Key("tensor");
  writer->StartObject();
  writer->Key("shape");
  writer->StartArray();
  for (int64_t edge : result.shape) writer->Int64(edge);
  writer->EndArray();
  writer->Key("values");
  writeNumbers(result.scores, writer);
  writer->EndObject();
}

}  // namespace

void appendResultJson(const Result& result, const std::vector<std::string>& labels, std::string* json) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.StartObject();
  if (result.hasBoxes) writeBoxes(result.boxes, labels, &writer);
  if (result.hasClasses && !result.classes.empty()) {
    writer.Key("top");
    writeClassObject(result.classes.front(), labels, &writer);
    if (!result.hasScores) writeTopk(result, labels, &writer);
  }
  if (result.hasScores && result.hasClasses) {
    writer.Key("scores");
    writeNumbers(result.scores, &writer);
  } else if (result.hasScores) {
    writeTensor(result, &writer);
  }
  writer.EndObject();
  json->append(buffer.GetString(), buffer.GetSize());
}

}  // namespace selvedge
