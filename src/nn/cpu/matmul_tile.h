// Small matrix products whose accumulators stay in registers: the arithmetic of projections and chunked scan.
#pragma once

#include "nn/cpu/simd.h"

namespace bsm::BSM_CPU_LEVEL {

/// R rows of C vectors of one product, in registers.
template <int R, int C>
struct Tile {
  Vec sum[R][C] = {};

  /// += a[R, depth] b[depth, C vectors]. kTransposed: a is stored [depth, R].
  template <bool kTransposed = false>
  void multiply_add(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t depth) {
    for (int64_t k = 0; k < depth; ++k) {
      Vec row[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) row[c] = load(b + k * b_stride + c * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vec factor = broadcast(kTransposed ? a[k * a_stride + r] : a[r * a_stride + k]);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sum[r][c] += factor * row[c];
      }
    }
  }

  /// Scales row r by factors[r].
  void scale_rows(const float* factors) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum[r][c] *= factors[r];
  }

  void load_from(const float* in, int64_t stride) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum[r][c] = load(in + r * stride + c * kLanes);
  }

  void store_to(float* out, int64_t stride) const {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) store(out + r * stride + c * kLanes, sum[r][c]);
  }

  /// out = factor * out + this
  void accumulate_to(float* out, int64_t stride, float factor) const {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        float* p = out + r * stride + c * kLanes;
        store(p, load(p) * factor + sum[r][c]);
      }
  }
};

/// Calls body(Tile<R, C>, column) for tiles that cover `columns` (a multiple of the lanes) with R rows.
template <int R, typename Body>
inline void for_columns(int64_t columns, Body body) {
  int64_t column = 0;
  for (; column + kTileVectors * kLanes <= columns; column += kTileVectors * kLanes)
    body(Tile<R, kTileVectors>{}, column);
  if constexpr (kTileVectors > 2)
    for (; column + 2 * kLanes <= columns; column += 2 * kLanes) body(Tile<R, 2>{}, column);
  for (; column < columns; column += kLanes) body(Tile<R, 1>{}, column);
}

/// Calls body.template operator()<R>(row) for groups of R rows that cover `rows`.
template <typename Body>
inline void for_rows(int64_t rows, Body body) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) body.template operator()<kTileRows>(row);
  if constexpr (kTileRows > 4)
    for (; row + 4 <= rows; row += 4) body.template operator()<4>(row);
  for (; row + 2 <= rows; row += 2) body.template operator()<2>(row);
  for (; row < rows; ++row) body.template operator()<1>(row);
}

}  // namespace bsm::BSM_CPU_LEVEL
