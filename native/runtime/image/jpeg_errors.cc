#include "image/jpeg_errors.h"

namespace selvedge {

namespace {

[[noreturn]] void jumpBack(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->back, 1);
}

void countWarning(j_common_ptr info, int level) {
  if (level < 0) info->err->num_warnings++;
}

void printNothing(j_common_ptr) {}

}  // namespace

jpeg_error_mgr* useJpegErrors(JpegErrors* errors) {
  jpeg_error_mgr* base = jpeg_std_error(&errors->base);
  base->error_exit = jumpBack;
  base->emit_message = countWarning;
  base->output_message = printNothing;
  errors->message[0] = '\0';
  return base;
}

}  // namespace selvedge
