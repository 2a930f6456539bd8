#include "output/annotate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "output/font.h"

namespace selvedge {
namespace {

constexpr int kJpegQuality = 90;
constexpr size_t kMaxClasses = 5;
constexpr size_t kMaxNameLength = 100;

struct Colour {
  uint8_t r, g, b;
};

/// Far apart from each other, none of them dark: black text is legible on all.
constexpr Colour kPalette[] = {{255, 99, 71}, {80, 220, 100}, {86, 160, 255}, {255, 215, 0}, {238, 130, 238},
                               {64, 224, 208}, {255, 165, 0}, {190, 190, 255}, {173, 255, 47}, {255, 182, 193}};

Colour colourOf(int index) {
  constexpr int kCount = static_cast<int>(sizeof kPalette / sizeof kPalette[0]);
  return kPalette[((index % kCount) + kCount) % kCount];
}

class Canvas {
 public:
  explicit Canvas(Image* image) : image_(image), unit_(std::max(1, std::min(image->width, image->height) / 320)) {}

  /// Pixels of a line's width, and of one pixel of the font.
  int unit() const { return unit_; }

  /// Fills x1..x2, y1..y2 (ends not included) as far as it lies in the picture.
  void fill(int x1, int y1, int x2, int y2, Colour colour) {
    x1 = std::max(x1, 0);
    y1 = std::max(y1, 0);
    x2 = std::min(x2, image_->width);
    y2 = std::min(y2, image_->height);
    for (int y = y1; y < y2; ++y) {
      uint8_t* pixel = image_->rgb.data() + (static_cast<size_t>(y) * static_cast<size_t>(image_->width) + static_cast<size_t>(std::max(x1, 0))) * 3;
      for (int x = x1; x < x2; ++x, pixel += 3) {
        pixel[0] = colour.r;
        pixel[1] = colour.g;
        pixel[2] = colour.b;
      }
    }
  }

  void frame(int x1, int y1, int x2, int y2, Colour colour) {
    const int width = unit_ * 2;
    fill(x1, y1, x2, y1 + width, colour);
    fill(x1, y2 - width, x2, y2, colour);
    fill(x1, y1, x1 + width, y2, colour);
    fill(x2 - width, y1, x2, y2, colour);
  }

  int lineHeight() const { return (kGlyphHeight + 4) * unit_; }

  void text(int x, int y, const std::string& text, Colour background) {
    const int width = (static_cast<int>(text.size()) * (kGlyphWidth + 1) + 3) * unit_;
    fill(x, y, x + width, y + lineHeight(), background);
    x += 2 * unit_;
    y += 2 * unit_;
    for (const char character : text) {
      for (int row = 0; row < kGlyphHeight; ++row) {
        for (int column = 0; column < kGlyphWidth; ++column) {
          if (!glyphPixel(character, row, column)) continue;
          const int left = x + column * unit_;
          const int top = y + row * unit_;
          fill(left, top, left + unit_, top + unit_, {0, 0, 0});
        }
      }
      x += (kGlyphWidth + 1) * unit_;
    }
  }

 private:
  Image* image_;
  int unit_;
};

std::string caption(int index, float score, const std::vector<std::string>& labels) {
  constexpr size_t kMaxLength = 40;
  const bool known = index >= 0 && static_cast<size_t>(index) < labels.size();
  std::string text = known ? labels[static_cast<size_t>(index)].substr(0, kMaxLength) : std::to_string(index);
  char number[32];
  std::snprintf(number, sizeof number, " %.2f", static_cast<double>(score));
  return text + number;
}

/// A box's corner as a pixel; anything far outside (or not a number) becomes a corner just outside the picture.
int toPixel(float position, float scale, int edge) {
  const float pixel = position * scale;
  if (!(pixel > -1e6F)) return -1;
  return static_cast<int>(std::lround(std::min(pixel, static_cast<float>(edge))));
}

std::string stemOf(const std::string& input) {
  const size_t slash = input.rfind('/');
  std::string stem = slash == std::string::npos ? input : input.substr(slash + 1);
  const size_t dot = stem.rfind('.');
  if (dot != std::string::npos && dot > 0) stem.resize(dot);
  for (char& character : stem) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x80 && std::isalnum(byte) == 0 && character != '-' && character != '_' && character != '.') character = '_';
  }
  if (stem.size() > kMaxNameLength) stem.resize(kMaxNameLength);
  return stem.empty() ? "picture" : stem;
}

Status unwritable(const std::string& path) {
  return Status::error(errno == ENOSPC ? "DISK_FULL" : "FILE_UNREADABLE", path + " cannot be written: " + std::strerror(errno) + ".");
}

bool writeAll(int file, const std::vector<uint8_t>& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = write(file, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) done += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

void annotate(const Result& result, const std::vector<std::string>& labels, const PictureTransform& transform, Image* image) {
  if (image->width < 1 || image->height < 1) return;
  Canvas canvas(image);
  const float scaleX = image->sourceWidth > 0 ? static_cast<float>(image->width) / static_cast<float>(image->sourceWidth) : 1;
  const float scaleY = image->sourceHeight > 0 ? static_cast<float>(image->height) / static_cast<float>(image->sourceHeight) : 1;
  // The best one is drawn last, over the others.
  for (size_t left = result.boxes.size(); left-- > 0;) {
    const Box box = boxToSource(result.boxes[left], transform);
    const int x1 = toPixel(box.x1, scaleX, image->width);
    const int y1 = toPixel(box.y1, scaleY, image->height);
    const Colour colour = colourOf(box.index);
    canvas.frame(x1, y1, toPixel(box.x2, scaleX, image->width), toPixel(box.y2, scaleY, image->height), colour);
    const int above = y1 - canvas.lineHeight();
    canvas.text(x1, above >= 0 ? above : std::max(y1, 0), caption(box.index, box.score, labels), colour);
  }
  for (size_t line = 0; line < std::min(result.classes.size(), kMaxClasses); ++line) {
    const ScoredClass& entry = result.classes[line];
    canvas.text(0, static_cast<int>(line) * canvas.lineHeight(), caption(entry.index, entry.score, labels), colourOf(entry.index));
  }
}

Status AnnotatedFolder::open(const std::string& folder) {
  folder_ = folder;
  struct stat facts = {};
  if (mkdir(folder.c_str(), 0755) == 0) return Status::ok();
  if (errno != EEXIST || stat(folder.c_str(), &facts) != 0) return unwritable(folder);
  return S_ISDIR(facts.st_mode) ? Status::ok() : Status::error("FILE_UNREADABLE", folder + " is not a folder.");
}

Status AnnotatedFolder::write(const std::string& input, uint64_t index, const Image& image) {
  if (Status status = encodeJpeg(image, kJpegQuality, &jpeg_); !status.isOk()) return status;
  char number[32];
  std::snprintf(number, sizeof number, "-%06llu.jpg", static_cast<unsigned long long>(index));
  const std::string path = folder_ + "/" + stemOf(input) + number;
  // Hidden while it is being written, so that a folder watch (ours, too) passes over it.
  const std::string partial = folder_ + "/." + stemOf(input) + number;
  const int file = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return unwritable(path);
  const bool written = writeAll(file, jpeg_);
  Status status = written ? Status::ok() : unwritable(path);
  close(file);
  if (written && rename(partial.c_str(), path.c_str()) != 0) status = unwritable(path);
  if (!status.isOk()) unlink(partial.c_str());
  return status;
}

}  // namespace selvedge
