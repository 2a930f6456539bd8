// Inputs and the parts of the command line that need no model: input_test FOLDER (empty, writable).
#include <sys/stat.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "app/arguments.h"
#include "app/histogram.h"
#include "app/sensors.h"
#include "input/camera.h"
#include "input/ffmpeg.h"
#include "input/picture_splitter.h"
#include "input/stream_sources.h"
#include "input/yuyv.h"
#include "output/font.h"
#include "pipeline/golden.h"
#include "pipeline/manifest.h"
#include "tests/check.h"

using namespace selvedge;

namespace {

using Buffer = std::vector<uint8_t>;
using Outcome = PictureSplitter::Outcome;

/// A JPEG with a thumbnail's EOI inside a segment, stuffed bytes and a restart marker: only the last EOI ends it.
Buffer smallJpeg(uint8_t value) {
  return {0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9, 0xff, 0xff, 0xda, 0, 3, value, 1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xd9};
}

Buffer smallPng(uint8_t value) {
  return {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 2, 't', 'e', 'X', 't', value, 0xd9, 1, 2, 3, 4, 0, 0, 0, 0, 'I', 'E', 'N', 'D', 5, 6, 7, 8};
}

void append(Buffer* stream, const Buffer& more) { stream->insert(stream->end(), more.begin(), more.end()); }

struct Split {
  std::vector<Buffer> pictures;
  int faults = 0;
  bool hasRest = false;
};

Split split(const Buffer& stream, size_t step, size_t maxBytes = 1024) {
  Split result;
  PictureSplitter splitter(maxBytes);
  for (size_t at = 0; at < stream.size(); at += step) {
    splitter.feed({stream.data() + at, std::min(step, stream.size() - at)});
    Buffer picture;
    std::string why;
    for (Outcome outcome = splitter.next(&picture, &why); outcome != Outcome::needMore; outcome = splitter.next(&picture, &why)) {
      if (outcome == Outcome::picture) result.pictures.push_back(picture);
      else result.faults += 1;
    }
  }
  result.hasRest = splitter.hasRest();
  return result;
}

void splitsWhateverTheChunksAre() {
  Buffer stream;
  for (uint8_t value = 0; value < 5; ++value) append(&stream, value % 2 == 0 ? smallJpeg(value) : smallPng(value));
  for (size_t step = 1; step <= stream.size(); ++step) {
    const Split result = split(stream, step);
    CHECK_EQ(result.pictures.size(), size_t{5});
    CHECK_EQ(result.faults, 0);
    CHECK(!result.hasRest);
    for (uint8_t value = 0; value < result.pictures.size(); ++value) {
      CHECK(result.pictures[value] == (value % 2 == 0 ? smallJpeg(value) : smallPng(value)));
    }
  }
}

void reportsJunkOnceAndGoesOn() {
  for (size_t step : {size_t{1}, size_t{3}, size_t{1000}}) {
    Buffer stream = {'h', 'e', 'l', 'l', 'o', 0xff, 0xd8};
    append(&stream, smallJpeg(1));
    append(&stream, {'x', 'y'});
    append(&stream, smallPng(2));
    append(&stream, {0xff, 0xd8, 0xff, 0xe0, 0});
    const Split result = split(stream, step);
    CHECK_EQ(result.pictures.size(), size_t{2});
    CHECK_EQ(result.faults, 2);
    CHECK(result.hasRest);
  }
}

void refusesBrokenAndHugePictures() {
  Buffer stream = {0xff, 0xd8, 0xff, 0xe0, 0, 1, 9, 9, 9, 9};
  append(&stream, smallJpeg(1));
  CHECK_EQ(split(stream, 4).pictures.size(), size_t{1});
  CHECK_EQ(split(stream, 4).faults, 1);
  Buffer huge = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0x7f, 0xff, 0xff, 0xff, 'I', 'D', 'A', 'T'};
  append(&huge, smallPng(3));
  CHECK_EQ(split(huge, 5).pictures.size(), size_t{1});
  CHECK_EQ(split(huge, 5).faults, 1);
  Buffer endless = {0xff, 0xd8, 0xff, 0xda, 0, 2};
  endless.resize(5000, 7);
  append(&endless, smallJpeg(4));
  CHECK_EQ(split(endless, 100).pictures.size(), size_t{1});
  CHECK_EQ(split(endless, 100).faults, 1);
}

void convertsYuyv() {
  // Black, white, and the colours of the standard's 75 % red and blue bars.
  const Buffer yuyv = {16, 128, 235, 128, 65, 100, 65, 212, 35, 212, 35, 114, 0xaa, 0xaa};
  Image image;
  CHECK(yuyvToRgb({yuyv.data(), yuyv.size()}, 6, 1, 12, &image));
  const int expected[] = {0, 0, 0, 255, 255, 255, 191, 0, 0, 191, 0, 0, 0, 0, 191, 0, 0, 191};
  for (size_t at = 0; at < image.rgb.size(); ++at) CHECK(std::abs(image.rgb[at] - expected[at]) <= 2);
  CHECK(!yuyvToRgb({yuyv.data(), 11}, 6, 1, 12, &image));
  CHECK(!yuyvToRgb({yuyv.data(), yuyv.size()}, 5, 1, 12, &image));
  CHECK(!yuyvToRgb({yuyv.data(), yuyv.size()}, 6, 2, 12, &image));
}

void readsSizesAndAddresses() {
  int width = 0;
  int height = 0;
  CHECK(parseSize("640x480", &width, &height) && width == 640 && height == 480);
  for (const char* bad : {"", "x", "640", "640x", "0x480", "-1x4", "640x480 ", "640x99999", "16384x16384", "99999999999999999999x1"}) {
    CHECK(!parseSize(bad, &width, &height));
  }
  CameraOptions camera;
  CHECK(parseCamera("/dev/video0@1280x720", &camera) && camera.device == "/dev/video0" && camera.width == 1280 && camera.height == 720);
  CHECK(parseCamera("/dev/video1", &camera) && camera.device == "/dev/video1" && camera.width == 0);
  CHECK(!parseCamera("", &camera) && !parseCamera("@1x1", &camera) && !parseCamera("/dev/video0@big", &camera));
  CHECK_EQ(withoutCredentials("rtsp://user:p@ss@host:554/a@b"), std::string("rtsp://host:554/a@b"));
  CHECK_EQ(withoutCredentials("rtsp://host/a?x=b@c"), std::string("rtsp://host/a?x=b@c"));
  CHECK_EQ(withoutCredentials("rtsp://user@host"), std::string("rtsp://host"));
  CHECK_EQ(withoutCredentials("tcp://a:b@host: refused; rtsp://host: by me@home"), std::string("tcp://host: refused; rtsp://host: by me@home"));
}

void keepsQuantiles() {
  Histogram histogram;
  for (int value = 1; value <= 1000; ++value) histogram.add(value / 10.0);
  const struct {
    double share, ms;
  } cases[] = {{0.5, 50}, {0.9, 90}, {0.99, 99}, {1, 100}, {0, 0.1}};
  for (const auto& [share, ms] : cases) CHECK(std::fabs(histogram.quantile(share) - ms) <= ms / 200);
  Histogram extremes;
  extremes.add(0);
  extremes.add(1e9);
  CHECK(extremes.quantile(0.5) == 0);
  CHECK(extremes.quantile(1) > 16'000);
  CHECK(Histogram().quantile(0.5) == 0);
}

void writeText(const std::string& path, const std::string& text) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) mkdir(path.substr(0, slash).c_str(), 0755);
  FILE* file = std::fopen(path.c_str(), "w");
  CHECK(file != nullptr);
  if (file == nullptr) return;
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
}

void readsSensors(const std::string& folder) {
  Sensors none(folder + "/nothing");
  none.startEnergy();
  CHECK(!none.cpuTemperatureC().has_value() && !none.energyMj(1).has_value());
  const std::string sys = folder + "/sys";
  writeText(sys + "/class/thermal/thermal_zone0/temp", "90000\n");
  writeText(sys + "/class/thermal/thermal_zone0/type", "battery\n");
  writeText(sys + "/class/thermal/thermal_zone1/temp", "41500\n");
  writeText(sys + "/class/thermal/thermal_zone1/type", "cpu-thermal\n");
  const std::string counter = sys + "/class/powercap/intel-rapl:0/energy_uj";
  writeText(counter, "900000\n");
  writeText(sys + "/class/powercap/intel-rapl:0/max_energy_range_uj", "1000000\n");
  Sensors sensors(sys);
  CHECK(sensors.cpuTemperatureC() == 41.5);
  sensors.startEnergy();
  writeText(counter, "100000\n");
  CHECK(sensors.energyMj(1) == 200);
  const std::string board = folder + "/board";
  writeText(board + "/class/hwmon/hwmon1/power1_input", "2000000\n");
  Sensors power(board);
  power.startEnergy();
  CHECK(power.energyMj(3) == 6000);
}

Status parsed(const std::string& text) {
  Manifest manifest;
  return parseManifest("manifest.json", text, &manifest);
}

void checksManifests() {
  const std::string good =
      R"({"formatVersion":1,"runtime":"native","model":"m","version":"1","target":"t-t","engine":"xnnpack","precision":"fp32",)"
      R"("modelFile":"a/model.bin","goldenFile":null,"labels":["a"],"preproc":{},"postproc":{},"dctScaling":false})";
  CHECK_CODE(parsed(good), "");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return parsed(text);
  };
  CHECK_CODE(with("\"formatVersion\":1", "\"formatVersion\":2"), "INPUT_INVALID");
  CHECK_CODE(with("\"native\"", "\"model-server\""), "INPUT_INVALID");
  for (const char* path : {"../model", "/model", "a//b", "a/", "a/../b", ".hidden", "a\\\\b", ""}) {
    CHECK_CODE(with("a/model.bin", path), "INPUT_INVALID");
  }
  CHECK_CODE(with("[\"a\"]", "[1]"), "INPUT_INVALID");
  CHECK_CODE(with("\"dctScaling\":false", "\"dctScaling\":0"), "INPUT_INVALID");
  CHECK(with("\"preproc\":{}", "\"preproc\":[]").message() == "manifest.json: \"preproc\" must be an object.");
  CHECK_CODE(parsed("[]"), "INPUT_INVALID");
  CHECK_CODE(parsed(std::string(100'000, '[')), "INPUT_INVALID");
  CHECK_CODE(parsed(good.substr(0, good.size() - 1)), "INPUT_INVALID");
}

std::string safetensors(const std::string& header, const std::string& values) {
  std::string file(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, sizeof length);
  return file + header + values;
}

void readsGoldenSamples(const std::string& folder) {
  const std::string file = folder + "/golden.safetensors";
  // y: 3 in float32; x: 1, -0.25, the smallest and the largest number of half precision.
  const std::string values("\x00\x00\x40\x40\x00\x3c\x00\xb4\x01\x00\xff\x7b", 12);
  const std::string y = R"("output/y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string x = R"("input/x/1":{"dtype":"F16","shape":[1,4],"data_offsets":[4,12]})";
  const std::string rest = R"("__metadata__":{"tolerance":"5e-1"})";
  GoldenSample sample;
  writeText(file, safetensors("{" + y + "," + x + "," + rest + "}  ", values));
  CHECK_CODE(readGolden(file, &sample), "");
  CHECK(sample.input.data == std::vector<float>({1, -0.25F, 5.9604645e-8F, 65504}) && sample.input.shape == std::vector<int64_t>({1, 4}));
  CHECK(sample.input.name == "x/1" && sample.output.data == std::vector<float>({3}) && sample.tolerance == 0.5);
  const auto refuses = [&](const std::string& content) {
    writeText(file, content);
    CHECK_CODE(readGolden(file, &sample), "INPUT_INVALID");
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string header = "{" + y + "," + x + "," + rest + "}";
    return safetensors(header.replace(header.find(from), from.size(), to), values);
  };
  refuses("");
  refuses("short");
  refuses(std::string(8, '\xff') + "{}");
  refuses(safetensors("{}", values));
  refuses(safetensors("[]", values));
  refuses(safetensors("{", values));
  refuses(safetensors("{" + y + "," + x + "}", values));
  refuses(safetensors("{" + y + "," + rest + "}", values));
  refuses(safetensors("{" + y + "," + x + "," + rest + "}", values.substr(0, 11)));
  refuses(changed("F16", "I8"));
  refuses(changed("[1,4]", "[1,5]"));
  refuses(changed("[1,4]", "[0]"));
  refuses(changed("[1,4]", "[1e9,1e9,1e9]"));
  refuses(changed("[1,4]", "4"));
  refuses(changed("[4,12]", "[-4,4]"));
  refuses(changed("[4,12]", "[8,16]"));
  refuses(changed("[4,12]", "[4]"));
  refuses(changed("input/x/1", "x"));
  refuses(changed("input/x/1", "output/x"));
  refuses(changed("\"5e-1\"", "0.5"));
  refuses(changed("5e-1", "0.5x"));
  refuses(changed("5e-1", "0"));
  CHECK_CODE(readGolden(folder + "/missing", &sample), "FILE_UNREADABLE");
  TensorInfo nhwc{"x", DataType::float32, {2, 3, 1, 2}, MemoryOrder::nhwc};
  const size_t expected[] = {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11};
  for (size_t index = 0; index < nhwc.elements(); ++index) CHECK_EQ(memoryIndex(nhwc, index), expected[index]);
}

Status parseWords(std::vector<const char*> words, Arguments* arguments) {
  words.insert(words.begin(), "run");
  return parseArguments(static_cast<int>(words.size()), words.data(), arguments);
}

void readsArguments() {
  Arguments arguments;
  CHECK_CODE(parseWords({"--input=a=b.jpg", "--input", "-", "--limit", "7", "--threads=2"}, &arguments), "");
  CHECK(arguments.inputs == std::vector<std::string>({"a=b.jpg", "-"}) && arguments.limit == 7 && arguments.threads == 2);
  Arguments serving;
  CHECK_CODE(parseWords({"--serve", "[::1]:8501", "--queue", "3", "--agent-channel"}, &serving), "");
  CHECK(serving.serve.host == "::1" && serving.serve.port == 8501 && serving.serve.queueLimit == 3 && serving.serve.agentChannel);
  const std::vector<std::vector<const char*>> bad = {{},
                                                     {"--input"},
                                                     {"--input", ""},
                                                     {"x.jpg"},
                                                     {"--nope"},
                                                     {"--watch=1", "--input", "a"},
                                                     {"--input", "-", "--input", "raw:1x1"},
                                                     {"--input", "camera:/dev/video0", "--input", "a"},
                                                     {"--bench", "--input", "rtsp://h/s"},
                                                     {"--bench", "--describe"},
                                                     {"--bench", "--serve", ":1"},
                                                     {"--bench", "--limit", "1"},
                                                     {"--serve", "8501"},
                                                     {"--serve", "::1:8501"},
                                                     {"--serve", ":65536"},
                                                     {"--threads", "0", "--bench"},
                                                     {"--threads", "2", "--threads", "2", "--bench"},
                                                     {"--seconds", "1e3", "--bench"}};
  for (const std::vector<const char*>& words : bad) {
    Arguments ignored;
    CHECK_CODE(parseWords(words, &ignored), "USAGE");
  }
}

void drawsEveryGlyphDifferently() {
  std::vector<std::vector<bool>> seen;
  for (int code = 33; code <= 127; ++code) {
    std::vector<bool> pixels;
    for (int row = 0; row < kGlyphHeight; ++row) {
      for (int column = 0; column < kGlyphWidth; ++column) pixels.push_back(glyphPixel(static_cast<char>(code), row, column));
    }
    for (const auto& other : seen) CHECK(other != pixels);
    seen.push_back(pixels);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string folder = argv[1];
  splitsWhateverTheChunksAre();
  reportsJunkOnceAndGoesOn();
  refusesBrokenAndHugePictures();
  convertsYuyv();
  readsSizesAndAddresses();
  keepsQuantiles();
  readsSensors(folder);
  checksManifests();
  readsGoldenSamples(folder);
  readsArguments();
  drawsEveryGlyphDifferently();
  return checkResult();
}
