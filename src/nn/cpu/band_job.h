// One band's part of band split and mask heads on raw pointers: the seam between the LibTorch glue
// (bands_cpu.cpp) and the vector kernels (band_kernel.h).
#pragma once

#include <cstdint>

#include "nn/cpu/padding.h"

namespace bsm {

/// Rows that lie apart: what a kernel reads and what it writes.
struct BandRows {
  const float* in = nullptr;
  int64_t in_stride = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
  int64_t count = 0;
};

/// x / max(||x||, 1e-12), then a product and a bias: [width] -> [dim].
struct BandFeatures {
  int64_t width = 0, padded_width = 0, dim = 0, padded_dim = 0;
  const float* weight = nullptr;  ///< packed [padded_width, padded_dim]
  const float* bias = nullptr;    ///< [padded_dim]
  /// Floats per row.
  int64_t scratch() const { return padded_width + padded_dim; }
};

/// x / max(||x||, 1e-12), Linear(dim -> hidden), tanh, Linear(hidden -> 2 width), GLU: [dim] -> [width].
struct BandMasks {
  int64_t dim = 0, padded_dim = 0, padded_hidden = 0, width = 0, padded_width = 0;
  const float* hidden_weight = nullptr;  ///< packed [padded_dim, padded_hidden]
  const float* hidden_bias = nullptr;    ///< [padded_hidden]
  const float* out_weight = nullptr;  ///< packed [padded_hidden, values: padded_width | gates: padded_width]
  const float* out_bias = nullptr;    ///< [2 * padded_width]
  /// Floats per row.
  int64_t scratch() const { return padded_dim + padded_hidden + 2 * padded_width; }
};

}  // namespace bsm
