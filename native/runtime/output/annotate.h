// Pictures with the result drawn into them.
#ifndef SELVEDGE_OUTPUT_ANNOTATE_H
#define SELVEDGE_OUTPUT_ANNOTATE_H

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "image/image.h"
#include "ops/postproc.h"

namespace selvedge {

/// Draws boxes with their labels, and the classes (at most five) at the top left.
/// @param image - as it was decoded, maybe smaller than its source.
void annotate(const Result& result, const std::vector<std::string>& labels, const PictureTransform& transform, Image* image);

/// Writes JPEGs named after their inputs: "street.jpg" becomes FOLDER/street-000007.jpg (7: the index).
class AnnotatedFolder {
 public:
  /// Makes the folder when it is missing. @returns FILE_UNREADABLE.
  Status open(const std::string& folder);
  /// The file appears whole or not at all.
  Status write(const std::string& input, uint64_t index, const Image& image);

 private:
  std::string folder_;
  std::vector<uint8_t> jpeg_;
};

}  // namespace selvedge

#endif
