// Decoders and encoder: image_test FOLDER. The folder has pictures and, for each NAME.EXT that can be read, NAME.EXT.rgb: the
// pixels of the reference decoder, after 8 bytes with width and height (little-endian); no such file: it must be refused.
// Prints per picture the largest and the mean difference to the reference, which is 0 on every target.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "image/image.h"
#include "tests/check.h"
#include "tests/test_files.h"

using namespace selvedge;

namespace {

Bytes viewOf(const std::vector<uint8_t>& bytes) { return {bytes.data(), bytes.size()}; }

uint32_t readNumber(const std::vector<uint8_t>& bytes, size_t at) {
  uint32_t value = 0;
  if (bytes.size() >= at + sizeof(value)) std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

/// Soft gradients with some texture, as photographs have them.
Image gradient(int width, int height) {
  Image image;
  image.width = image.sourceWidth = width;
  image.height = image.sourceHeight = height;
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      const double wave = 40 * std::sin(x * 0.11) * std::cos(y * 0.07);
      for (int c = 0; c < 3; c++) {
        const double value = 128 + wave + 60.0 * (c == 0 ? x : width - x) / width - 30.0 * (c == 2 ? y : 0) / height;
        image.rgb.push_back(static_cast<uint8_t>(value));
      }
    }
  }
  return image;
}

std::vector<uint8_t> jpegOf(const Image& image) {
  std::vector<uint8_t> jpeg;
  CHECK_CODE(encodeJpeg(image, 90, &jpeg), "");
  return jpeg;
}

void compareWithReference(const std::string& name, const Image& image, const std::vector<uint8_t>& reference) {
  CHECK_EQ(static_cast<uint32_t>(image.width), readNumber(reference, 0));
  CHECK_EQ(static_cast<uint32_t>(image.height), readNumber(reference, 4));
  CHECK_EQ(image.rgb.size() + 8, reference.size());
  if (image.rgb.size() + 8 != reference.size()) return;
  int worst = 0;
  int64_t sum = 0;
  for (size_t i = 0; i < image.rgb.size(); i++) {
    const int difference = std::abs(image.rgb[i] - reference[i + 8]);
    worst = std::max(worst, difference);
    sum += difference;
  }
  std::printf("%s %d %.4f\n", name.c_str(), worst, static_cast<double>(sum) / static_cast<double>(image.rgb.size()));
  if (worst > 0) reportFailure(__FILE__, __LINE__, name + " differs by " + std::to_string(worst));
}

void checkFile(const std::string& folder, const std::string& name) {
  const std::vector<uint8_t> bytes = readTestFile(folder + "/" + name);
  const std::vector<uint8_t> reference = readTestFile(folder + "/" + name + ".rgb");
  Image image;
  const Status status = decodeImage(viewOf(bytes), {}, &image);
  if (reference.empty()) {
    if (std::string(status.code()) != "INPUT_INVALID") reportFailure(__FILE__, __LINE__, name + " was read");
    return;
  }
  if (!status.isOk()) return reportFailure(__FILE__, __LINE__, name + ": " + status.message());
  compareWithReference(name, image, reference);
  // Any shorter file is refused, at whatever byte it is cut; copied, so that a sanitizer sees reads behind its end.
  for (size_t size = 0; size + 16 < bytes.size(); size += 1 + bytes.size() / 61) {
    const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_CODE(decodeImage(viewOf(cut), {}, &image), "INPUT_INVALID");
  }
}

void checkScale(const std::vector<uint8_t>& jpeg, int minWidth, int minHeight, int width, int height) {
  DecodeOptions options;
  options.minWidth = minWidth;
  options.minHeight = minHeight;
  Image image;
  CHECK_CODE(decodeImage(viewOf(jpeg), options, &image), "");
  CHECK_EQ(image.width, width);
  CHECK_EQ(image.height, height);
  CHECK_EQ(image.sourceWidth, 401);
  CHECK_EQ(image.sourceHeight, 300);
  CHECK_EQ(image.rgb.size(), static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
}

void checkScales() {
  const std::vector<uint8_t> jpeg = jpegOf(gradient(401, 300));
  checkScale(jpeg, 0, 0, 401, 300);
  checkScale(jpeg, 320, 300, 401, 300);
  checkScale(jpeg, 201, 150, 201, 150);
  checkScale(jpeg, 202, 10, 401, 300);
  checkScale(jpeg, 100, 75, 101, 75);
  checkScale(jpeg, 28, 28, 51, 38);
  checkScale(jpeg, 1, 1, 51, 38);
}

void checkRoundTrip() {
  const Image image = gradient(63, 41);
  Image again;
  CHECK_CODE(decodeImage(viewOf(jpegOf(image)), {}, &again), "");
  CHECK_EQ(again.rgb.size(), image.rgb.size());
  int64_t sum = 0;
  for (size_t i = 0; i < image.rgb.size() && i < again.rgb.size(); i++) sum += std::abs(image.rgb[i] - again.rgb[i]);
  CHECK(sum < static_cast<int64_t>(image.rgb.size()) * 3);
  DecodeOptions fast;
  fast.fast = true;
  CHECK_CODE(decodeImage(viewOf(jpegOf(image)), fast, &again), "");
  std::vector<uint8_t> jpeg;
  CHECK_CODE(encodeJpeg(image, 0, &jpeg), "INPUT_INVALID");
  CHECK_CODE(encodeJpeg(Image{}, 90, &jpeg), "INPUT_INVALID");
}

void checkLimits() {
  const std::vector<uint8_t> jpeg = jpegOf(gradient(64, 48));
  DecodeOptions options;
  options.maxPixels = 64 * 48 - 1;
  Image image;
  CHECK_CODE(decodeImage(viewOf(jpeg), options, &image), "INPUT_INVALID");
  options.maxPixels = 64 * 48;
  CHECK_CODE(decodeImage(viewOf(jpeg), options, &image), "");
  CHECK_CODE(decodeImage(Bytes{}, {}, &image), "INPUT_INVALID");
  // A header that claims a huge picture, with the bytes of a small one behind it: refused before memory is taken.
  std::vector<uint8_t> bomb = jpeg;
  for (size_t i = 0; i + 9 < bomb.size(); i++) {
    if (bomb[i] != 0xff || bomb[i + 1] != 0xc0) continue;
    bomb[i + 5] = bomb[i + 7] = 0x1f;
    break;
  }
  Image untouched;
  CHECK_CODE(decodeImage(viewOf(bomb), {}, &untouched), "INPUT_INVALID");
  CHECK(untouched.rgb.empty());
}

}  // namespace

int main(int count, char** arguments) {
  checkScales();
  checkRoundTrip();
  checkLimits();
  const std::string folder = count > 1 ? arguments[1] : ".";
  for (const char* ending : {".jpg", ".png"}) {
    const std::vector<std::string> names = listTestFiles(folder, ending);
    CHECK(count < 2 || !names.empty());
    for (const std::string& name : names) checkFile(folder, name);
  }
  return checkResult();
}
