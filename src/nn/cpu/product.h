// Matrix products with a constant right-hand side that was packed before. For the thin matrices of a block
// (96 to 256 deep, or as wide) this beats a BLAS, which packs at each call.
#pragma once

#include "nn/cpu/matmul_tile.h"

namespace bsm::BSM_CPU_LEVEL {

/// Floats of a panel's part that stays in the first level cache while the rows pass by.
constexpr int64_t kPanelFloats = kLanes == 16 ? 8192 : 4096;

/// Column panels as wide as the tiles that for_columns() chooses, each [rows, panel width].
inline void pack_panels(const float* matrix, int64_t rows, int64_t columns, float* packed) {
  for_columns<1>(columns, [&]<int C>(Tile<1, C>, int64_t column) {
    float* panel = packed + column * rows;
    for (int64_t k = 0; k < rows; ++k)
      for (int c = 0; c < C; ++c)
        store(panel + (k * C + c) * kLanes, load(matrix + k * columns + column + c * kLanes));
  });
}

/// out[rows, columns] = a[rows, depth] b, where b [depth, columns of all] is packed; the first `columns` of
/// it (a multiple of kPadding).
inline void product(const float* a, int64_t a_stride, int64_t rows, int64_t depth, const float* b,
                    int64_t columns, float* out, int64_t out_stride) {
  for_columns<1>(columns, [&]<int C>(Tile<1, C>, int64_t column) {
    constexpr int64_t kWidth = C * kLanes;
    for (int64_t k = 0; k < depth; k += kPanelFloats / kWidth) {
      const int64_t part = smaller(kPanelFloats / kWidth, depth - k);
      for_rows(rows, [&]<int R>(int64_t row) {
        float* to = out + row * out_stride + column;
        Tile<R, C> tile;
        if (k > 0) tile.load_from(to, out_stride);
        tile.multiply_add(a + row * a_stride + k, a_stride, b + column * depth + k * kWidth, kWidth, part);
        tile.store_to(to, out_stride);
      });
    }
  });
}

}  // namespace bsm::BSM_CPU_LEVEL
