// The picture that --bench measures on when it is given none.
#ifndef SELVEDGE_APP_TEST_PICTURE_H
#define SELVEDGE_APP_TEST_PICTURE_H

#include "image/image.h"

namespace selvedge {

/// A smooth background, filled shapes and some grain: as a JPEG about as large as a photograph of that size. The same
/// pixels on every machine.
Image makeTestPicture(int width, int height);

}  // namespace selvedge

#endif
