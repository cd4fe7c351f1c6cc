// Band split and mask head of one band for some rows (see band_job.h).
#pragma once

#include "nn/cpu/band_job.h"
#include "nn/cpu/product.h"

namespace bsm::BSM_CPU_LEVEL {

/// out[r] = in[r] / max(||in[r]||, 1e-12), padded with zeros to `padded` values.
inline void unit_norm_rows(const BandRows& rows, int64_t width, float* out, int64_t padded) {
  for (int64_t r = 0; r < rows.count; ++r) {
    const float* x = rows.in + r * rows.in_stride;
    Vec squares{};
    for (int64_t c = 0; c < width; c += kLanes) {
      const Vec v = load_part(x + c, width - c);
      squares += v * v;
    }
    const float norm = __builtin_sqrtf(sum(squares));
    const float scale = 1.0f / (norm > 1e-12f ? norm : 1e-12f);
    for (int64_t c = 0; c < padded; c += kLanes)
      store(out + r * padded + c, c < width ? load_part(x + c, width - c) * scale : Vec{});
  }
}

/// 0, or NaN where x is not finite: exp() would hide it from who checks the results.
inline Vec unsound(Vec x) { return x * 0.0f; }

inline void band_features(const BandFeatures& b, const BandRows& rows, float* scratch) {
  const FlushDenormals flush;
  float* normed = scratch;
  float* features = scratch + rows.count * b.padded_width;
  unit_norm_rows(rows, b.width, normed, b.padded_width);
  product(normed, b.padded_width, rows.count, b.padded_width, b.weight, b.padded_dim, features, b.padded_dim);
  for (int64_t r = 0; r < rows.count; ++r)
    for (int64_t c = 0; c < b.dim; c += kLanes)
      store_part(rows.out + r * rows.out_stride + c, load(features + r * b.padded_dim + c) + load(b.bias + c),
                 b.dim - c);
}

inline void band_masks(const BandMasks& b, const BandRows& rows, float* scratch) {
  const FlushDenormals flush;
  float* normed = scratch;
  float* hidden = normed + rows.count * b.padded_dim;
  float* glu = hidden + rows.count * b.padded_hidden;
  unit_norm_rows(rows, b.dim, normed, b.padded_dim);
  product(normed, b.padded_dim, rows.count, b.padded_dim, b.hidden_weight, b.padded_hidden, hidden,
          b.padded_hidden);
  for (int64_t r = 0; r < rows.count; ++r)
    for (int64_t c = 0; c < b.padded_hidden; c += kLanes) {
      float* at = hidden + r * b.padded_hidden + c;
      const Vec x = load(at) + load(b.hidden_bias + c);
      store(at, 1.0f - 2.0f / (exp(2.0f * x) + 1.0f) + unsound(x));  // tanh
    }
  product(hidden, b.padded_hidden, rows.count, b.padded_hidden, b.out_weight, 2 * b.padded_width, glu,
          2 * b.padded_width);
  for (int64_t r = 0; r < rows.count; ++r)
    for (int64_t c = 0; c < b.width; c += kLanes) {
      const float* value = glu + r * 2 * b.padded_width + c;
      const Vec gate = load(value + b.padded_width) + load(b.out_bias + b.padded_width + c);
      store_part(rows.out + r * rows.out_stride + c,
                 (load(value) + load(b.out_bias + c)) / (exp(-gate) + 1.0f) + unsound(gate), b.width - c);
    }
}

}  // namespace bsm::BSM_CPU_LEVEL
