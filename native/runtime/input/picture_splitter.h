// Cuts a stream of pictures that follow each other without any frame around them.
#ifndef SELVEDGE_INPUT_PICTURE_SPLITTER_H
#define SELVEDGE_INPUT_PICTURE_SPLITTER_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace selvedge {

/// JPEG (SOI .. EOI, by walking the markers, so that a thumbnail inside does not end it) and PNG (by its chunks), mixed.
/// Bytes between pictures are passed over; each run of them is one fault.
class PictureSplitter {
 public:
  enum class Outcome { picture, needMore, fault };

  /// @param maxBytes - a longer picture is a fault and is passed over.
  explicit PictureSplitter(size_t maxBytes);

  /// Adds what was read. Take all pictures with next() before feeding more: memory is then bounded by maxBytes + size.
  void feed(Bytes bytes);

  /// @param why - of a fault, a sentence.
  Outcome next(std::vector<uint8_t>* picture, std::string* why);

  /// Whether the stream ended inside a picture (or in bytes that are none).
  bool hasRest() const { return !buffer_.empty(); }

 private:
  enum class Kind { none, jpeg, png };
  /// Where the walk stands inside a JPEG: between segments or in entropy-coded data.
  enum class JpegPart { marker, scan };

  Outcome startPicture(std::string* why);
  Outcome walk(std::string* why);
  Outcome walkJpeg(std::string* why);
  Outcome walkJpegMarker(bool* finished, std::string* why);
  Outcome walkPng(std::string* why);
  Outcome giveUp(const char* reason, std::string* why);
  void drop(size_t count);

  size_t maxBytes_;
  std::vector<uint8_t> buffer_;
  Kind kind_ = Kind::none;
  JpegPart part_ = JpegPart::marker;
  /// The walk has seen all before this; may lie behind the end of the buffer while a segment is still coming.
  size_t cursor_ = 0;
  bool skipping_ = false;
};

}  // namespace selvedge

#endif
