// Arithmetic on one row of one channel. Each + - * / is rounded to float32 by itself, in the order of the formulas in
// packages/graph/golden/README.md: the folder is compiled with -ffp-contract=off.
#ifndef SELVEDGE_OPS_ROW_KERNELS_H
#define SELVEDGE_OPS_ROW_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace selvedge {

/// Bytes behind a row that lerpColumnsRgb may read (and ignores).
constexpr size_t kRowPadding = 8;

/// out = above + weight * (below - above)
void lerpRows(const float* above, const float* below, float weight, size_t count, float* out);

/// out[x] = a + weight[x] * (b - a), with a = row[low[x] - first], b = row[high[x] - first].
void lerpColumns(const float* row, int32_t first, const int32_t* low, const int32_t* high, const float* weight, size_t count, float* out);

/// The same for three channels at once, from packed 8-bit RGB; high is low + 1 wherever weight is not 0.
void lerpColumnsRgb(const uint8_t* row, const int32_t* low, const float* weight, size_t count, float* const* out);

/// row = row * factor + offset
void scaleRow(float factor, float offset, size_t count, float* row);

/// row = (row - mean) / std
void normalizeRow(float mean, float std, size_t count, float* row);

/// out = (0.299 * r + 0.587 * g) + 0.114 * b; ITU-R BT.601-7, 2.5.1. `out` may be `r`.
void lumaRow(const float* r, const float* g, const float* b, size_t count, float* out);

/// Packed 8-bit RGB to three rows.
void unpackRgb(const uint8_t* row, size_t count, float* const* out);

/// Channel rows to pixels: out[x * channels + c] = planes[c][x].
void interleave(const float* const* planes, int channels, size_t count, float* out);

}  // namespace selvedge

#endif
