// Faults of libjpeg without exit(): a jump back to the function that called it. Private to this folder.
//
// A function that calls setjmp has no object with a destructor, and nothing that it changes after setjmp is read after the
// jump except through a pointer; so nothing is skipped or lost.
#ifndef SELVEDGE_IMAGE_JPEG_ERRORS_H
#define SELVEDGE_IMAGE_JPEG_ERRORS_H

#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

namespace selvedge {

struct JpegErrors {
  jpeg_error_mgr base;  // must be the first: libjpeg gives us a pointer to it
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

/// Fills in libjpeg's table of error functions. Warnings are counted, never printed.
jpeg_error_mgr* useJpegErrors(JpegErrors* errors);

}  // namespace selvedge

#endif
