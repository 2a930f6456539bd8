// libjpeg-turbo chooses its SIMD functions in one table for decoder and encoder. Nothing here encodes with it, and its
// encoder's functions and code tables would be 150 kB: these stand in their place, and are never called.
#include <cstdlib>

#define ABSENT(name) \
  void name();       \
  void name() { std::abort(); }
#define ABSENT_PIXELS(pixels, set)       \
  ABSENT(jsimd_##pixels##_ycc_convert##set) \
  ABSENT(jsimd_##pixels##_gray_convert##set)
#define ABSENT_COLOURS(set)    \
  ABSENT_PIXELS(extrgb, set)   \
  ABSENT_PIXELS(extrgbx, set)  \
  ABSENT_PIXELS(extbgr, set)   \
  ABSENT_PIXELS(extbgrx, set)  \
  ABSENT_PIXELS(extxbgr, set)  \
  ABSENT_PIXELS(extxrgb, set)  \
  ABSENT(jsimd_h2v1_downsample##set) \
  ABSENT(jsimd_h2v2_downsample##set) \
  ABSENT(jsimd_convsamp##set)  \
  ABSENT(jsimd_quantize##set)  \
  ABSENT(jsimd_fdct_islow##set)
#define ABSENT_CODES(set)                       \
  ABSENT(jsimd_fdct_ifast##set)                 \
  ABSENT(jsimd_huff_encode_one_block##set)      \
  ABSENT(jsimd_encode_mcu_AC_first_prepare##set) \
  ABSENT(jsimd_encode_mcu_AC_refine_prepare##set)

extern "C" {

#if defined(__x86_64__)
ABSENT_COLOURS(_sse2)
ABSENT_COLOURS(_avx2)
ABSENT_PIXELS(rgb, _sse2)
ABSENT_PIXELS(rgb, _avx2)
ABSENT_CODES(_sse2)
ABSENT(jsimd_convsamp_float_sse2)
ABSENT(jsimd_quantize_float_sse2)
ABSENT(jsimd_fdct_float_sse)
// Their constants: looked at for their alignment alone.
ABSENT(jconst_rgb_ycc_convert_sse2)
ABSENT(jconst_rgb_ycc_convert_avx2)
ABSENT(jconst_rgb_gray_convert_sse2)
ABSENT(jconst_rgb_gray_convert_avx2)
ABSENT(jconst_fdct_islow_sse2)
ABSENT(jconst_fdct_islow_avx2)
ABSENT(jconst_fdct_ifast_sse2)
ABSENT(jconst_fdct_float_sse)
ABSENT(jconst_huff_encode_one_block)
#else
ABSENT_COLOURS(_neon)
ABSENT_CODES(_neon)
#endif

}  // extern "C"
