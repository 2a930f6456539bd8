#include "input/picture_splitter.h"

#include <algorithm>
#include <cstring>

namespace selvedge {
namespace {

constexpr uint8_t kPngSignature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr uint8_t kJpegStart[3] = {0xff, 0xd8, 0xff};
constexpr uint8_t kEndOfImage = 0xd9;
constexpr uint8_t kStartOfScan = 0xda;

/// Whether the bytes at `data` are the signature, as far as they are there.
template <size_t kSize>
bool startsLike(const uint8_t* data, size_t size, const uint8_t (&signature)[kSize]) {
  return std::memcmp(data, signature, std::min(size, kSize)) == 0;
}

/// Markers without a length: fill, TEM, RST0..RST7, SOI.
bool isAlone(uint8_t marker) { return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8); }

}  // namespace

PictureSplitter::PictureSplitter(size_t maxBytes) : maxBytes_(maxBytes) {}

void PictureSplitter::feed(Bytes bytes) { buffer_.insert(buffer_.end(), bytes.data, bytes.data + bytes.size); }

void PictureSplitter::drop(size_t count) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(std::min(count, buffer_.size())));
  kind_ = Kind::none;
  cursor_ = 0;
}

PictureSplitter::Outcome PictureSplitter::giveUp(const char* reason, std::string* why) {
  *why = reason;
  // From the next byte on, whatever looks like a picture is tried; the rest of this one was reported with it.
  drop(1);
  skipping_ = true;
  return Outcome::fault;
}

PictureSplitter::Outcome PictureSplitter::startPicture(std::string* why) {
  size_t at = 0;
  const auto couldStart = [&] {
    const uint8_t* data = buffer_.data() + at;
    const size_t left = buffer_.size() - at;
    return startsLike(data, left, kJpegStart) || startsLike(data, left, kPngSignature);
  };
  while (at < buffer_.size() && !couldStart()) ++at;
  const bool reported = skipping_;
  if (at > 0) drop(at);
  if (at > 0 && !reported) {
    skipping_ = true;
    *why = "The stream has bytes that are neither a JPEG nor a PNG.";
    return Outcome::fault;
  }
  if (buffer_.size() < sizeof kPngSignature) return Outcome::needMore;
  skipping_ = false;
  kind_ = buffer_[0] == kJpegStart[0] ? Kind::jpeg : Kind::png;
  part_ = JpegPart::marker;
  cursor_ = kind_ == Kind::jpeg ? 2 : sizeof kPngSignature;
  return Outcome::picture;
}

/// Between segments: the cursor stands on 0xff.
PictureSplitter::Outcome PictureSplitter::walkJpegMarker(bool* finished, std::string* why) {
  const uint8_t* data = buffer_.data();
  if (cursor_ + 2 > buffer_.size()) return Outcome::needMore;
  if (data[cursor_] != 0xff) return giveUp("A JPEG in the stream has a broken segment.", why);
  const uint8_t marker = data[cursor_ + 1];
  if (marker == 0xff) {
    cursor_ += 1;
  } else if (marker == kEndOfImage) {
    cursor_ += 2;
    *finished = true;
  } else if (isAlone(marker)) {
    cursor_ += 2;
  } else {
    if (cursor_ + 4 > buffer_.size()) return Outcome::needMore;
    const size_t length = static_cast<size_t>(data[cursor_ + 2]) << 8 | data[cursor_ + 3];
    if (length < 2) return giveUp("A JPEG in the stream has a broken segment.", why);
    cursor_ += 2 + length;
    if (marker == kStartOfScan) part_ = JpegPart::scan;
  }
  return Outcome::picture;
}

PictureSplitter::Outcome PictureSplitter::walkJpeg(std::string* why) {
  bool finished = false;
  while (!finished) {
    if (part_ == JpegPart::marker) {
      const Outcome outcome = walkJpegMarker(&finished, why);
      if (outcome != Outcome::picture) return outcome;
      continue;
    }
    if (cursor_ >= buffer_.size()) return Outcome::needMore;
    const void* found = std::memchr(buffer_.data() + cursor_, 0xff, buffer_.size() - cursor_);
    if (found == nullptr) {
      cursor_ = buffer_.size();
      return Outcome::needMore;
    }
    cursor_ = static_cast<size_t>(static_cast<const uint8_t*>(found) - buffer_.data());
    if (cursor_ + 2 > buffer_.size()) return Outcome::needMore;
    const uint8_t next = buffer_[cursor_ + 1];
    // A stuffed zero and restart markers belong to the coded data.
    if (next == 0 || (next >= 0xd0 && next <= 0xd7)) cursor_ += 2;
    else if (next == 0xff) cursor_ += 1;
    else part_ = JpegPart::marker;
  }
  return Outcome::picture;
}

PictureSplitter::Outcome PictureSplitter::walkPng(std::string* why) {
  for (;;) {
    if (cursor_ + 8 > buffer_.size()) return Outcome::needMore;
    const uint8_t* chunk = buffer_.data() + cursor_;
    const uint32_t length = static_cast<uint32_t>(chunk[0]) << 24 | static_cast<uint32_t>(chunk[1]) << 16 |
                            static_cast<uint32_t>(chunk[2]) << 8 | chunk[3];
    if (length > maxBytes_) return giveUp("A PNG in the stream has a chunk that is larger than the limit.", why);
    const bool last = std::memcmp(chunk + 4, "IEND", 4) == 0;
    if (cursor_ + 12 + length > buffer_.size() && last) return Outcome::needMore;
    cursor_ += static_cast<size_t>(length) + 12;
    if (last) return Outcome::picture;
  }
}

PictureSplitter::Outcome PictureSplitter::next(std::vector<uint8_t>* picture, std::string* why) {
  if (kind_ == Kind::none) {
    const Outcome outcome = startPicture(why);
    if (outcome != Outcome::picture) return outcome;
  }
  const Outcome outcome = kind_ == Kind::jpeg ? walkJpeg(why) : walkPng(why);
  if (outcome == Outcome::needMore && std::max(buffer_.size(), cursor_) > maxBytes_) {
    return giveUp("A picture in the stream is larger than the limit.", why);
  }
  if (outcome != Outcome::picture) return outcome;
  picture->assign(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(cursor_));
  drop(cursor_);
  return Outcome::picture;
}

}  // namespace selvedge
