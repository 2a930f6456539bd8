// Extra steps of a package, in C++: a source named in `build.sources` includes this header and defines
//   SELVEDGE_PRE_STEP(mirror) (selvedge::Picture& picture) { ... }      // before the pre-processing
//   SELVEDGE_POST_STEP(count) (selvedge::ResultView& result) { ... }    // after the post-processing
// Steps run in the order of the sources, and within one in the order of the lines. A step that throws gives that picture
// an error (STEP_FAILED) with what() as its message; the next picture is unharmed. Each loaded model calls from one thread.
#ifndef SELVEDGE_STEP_H
#define SELVEDGE_STEP_H

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

namespace selvedge {

/// The decoded picture at its full size. Pixels may be changed, or all replaced by a picture of another size.
struct Picture {
  std::vector<uint8_t> rgb;  ///< rows from the top, R G B, width * height * 3 bytes
  int width = 0, height = 0;
};

/// What the picture gave. Entries may be changed, dropped and added; an index of a class may have no label.
struct ResultView {
  struct Class {
    int index;
    float score;
  };
  struct Box {
    float x1, y1, x2, y2, score;  ///< corners in pixels of the model's input
    int index;
    float sourceX1, sourceY1, sourceX2, sourceY2;  ///< corners in pixels of the picture; only to be read
  };
  std::vector<Class> classes;
  std::vector<Box> boxes;
  const std::vector<std::string>& labels;
  std::string extra;  ///< any JSON value, e.g. R"({"people": 3})": becomes "extra" of the result
};

/// One registered step; made by the macros below.
struct Step {
  const char* name;
  bool (*pre)(Picture&, std::string* why);
  bool (*post)(ResultView&, std::string* why);
  Step* next = nullptr;
};
inline Step* firstStep = nullptr;
inline Step** stepListEnd = &firstStep;

struct StepRegistration {
  explicit StepRegistration(Step* step) {
    *stepListEnd = step;
    stepListEnd = &step->next;
  }
};

#ifdef __cpp_exceptions
/// Exceptions end here: the runtime around the steps is built without them.
template <class Argument, void (*function)(Argument&)>
bool callStep(Argument& argument, std::string* why) {
  try {
    function(argument);
    return true;
  } catch (const std::exception& thrown) {
    *why = thrown.what();
  } catch (...) {
    *why = "something that is not a std::exception was thrown";
  }
  return false;
}
#endif

}  // namespace selvedge

#define SELVEDGE_STEP(name, Argument, pre, post)                          \
  static void name(Argument&);                                           \
  static selvedge::Step name##Step{#name, pre, post};                    \
  static const selvedge::StepRegistration name##Registration(&name##Step); \
  static void name
#define SELVEDGE_PRE_STEP(name) \
  SELVEDGE_STEP(name, selvedge::Picture, (&selvedge::callStep<selvedge::Picture, name>), nullptr)
#define SELVEDGE_POST_STEP(name) \
  SELVEDGE_STEP(name, selvedge::ResultView, nullptr, (&selvedge::callStep<selvedge::ResultView, name>))

#endif
