// A bitmap font of 5 x 7 pixels for printable ASCII.
#ifndef SELVEDGE_OUTPUT_FONT_H
#define SELVEDGE_OUTPUT_FONT_H

namespace selvedge {

constexpr int kGlyphWidth = 5;
constexpr int kGlyphHeight = 7;

/// Whether the pixel of the glyph is set; anything but printable ASCII looks like a box.
/// @param row - 0 .. 6 from the top. @param column - 0 .. 4 from the left.
bool glyphPixel(char character, int row, int column);

}  // namespace selvedge

#endif
