#include "output/font.h"

namespace selvedge {
namespace {

constexpr int kFirst = 32;
constexpr int kLast = 126;

/// Seven digits of base 32 for each character from the space on: a row each, its leftmost pixel worth 16. The last one is
/// the box.
constexpr char kRows[] =
    "00000004444404AAA0000AAVAVAA4FKE5U4OP248J3CIK8LID4440000"
    "2488842842224804LEL40044V4400000C48000V00000000CC01248G0"
    "EHJLPHE4C4444EEH1248VV2421HE26AIV22VGU11HE68GUHHEV124888"
    "EHHEHHEEHHF12C0CC0CC00CC0C48248G84200V0V008421248EH12404"
    "EH1DLLEEHHVHHHUHHUHHUEHGGGHEUHHHHHUVGGUGGVVGGUGGGEHGNHHF"
    "HHHVHHHE44444E72222ICHIKOKIHGGGGGGVHRLLHHHHHPLJHHEHHHHHE"
    "UHHUGGGEHHHLIDUHHUKIHFGGE11UV444444HHHHHHEHHHHHA4HHHLLRH"
    "HHA4AHHHHA4444V1248GVE88888E0G84210E22222E4AH0000000000V"
    "842000000E1FHFGGMPHHU00EGGHE11DJHHF00EHVGE698S8880FHHF1E"
    "GGMPHHH40C444E20622ICGGIKOKIC44444E00QLLHH00MPHHH00EHHHE"
    "00UHUGG00DJF1100MPGGG00EGE1U88S889600HHHJD00HHHA400HHLLA"
    "00HA4AH00HHF1E00V248V244844244444448442448008L200VHHHHHV";

static_assert(sizeof kRows == (kLast - kFirst + 2) * kGlyphHeight + 1, "every character has its seven rows");

int digit(char value) { return value <= '9' ? value - '0' : value - 'A' + 10; }

}  // namespace

bool glyphPixel(char character, int row, int column) {
  const int code = static_cast<unsigned char>(character);
  const int glyph = code >= kFirst && code <= kLast ? code - kFirst : kLast - kFirst + 1;
  return (digit(kRows[glyph * kGlyphHeight + row]) >> (kGlyphWidth - 1 - column) & 1) != 0;
}

}  // namespace selvedge
