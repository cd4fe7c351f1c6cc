// The norms at both ends of a block, and where a token of a slice lies in the residual stream.
#pragma once

#include "nn/cuda/pair.cuh"

namespace bsm::kernels {

constexpr float kPairNormEps = 1e-5f;

__device__ inline int64_t stream_offset(const StreamView& x, int64_t token, const PairShape& shape) {
  const int64_t row = token / shape.inner;
  return row / shape.length * x.stride_outer + row % shape.length * x.stride_length +
         token % shape.inner * x.stride_inner;
}

/// 1 / rms(u) of a token in a direction. `Lanes` neighbouring lanes share the sum over its heads.
template <int Lanes>
__device__ inline float norm_factor(const float* squares, const PairShape& shape, int direction,
                                    int64_t token) {
  const int heads = shape.heads();
  float sum = 0;
  for (int head = lane_id() % Lanes; head < heads; head += Lanes)
    sum += squares[(direction * shape.tokens() + token) * heads + head];
  return rsqrtf(lane_sum<Lanes - 1>(sum) / static_cast<float>(shape.d_inner) + kPairNormEps);
}

constexpr int kRowPack = 4;
constexpr int kMostPacks = kMaxPairDim / (kWarp * kRowPack);
/// A lane's share of a row of the stream.
using RowPacks = Pack<float, kRowPack>[kMostPacks];

/// A warp's token as xn, and its rms.
/// @param squares  a lane's share of the sum of squares
template <typename T>
__device__ inline void store_normed(const RowPacks& x, float squares, int64_t token, int dim,
                                    const NormedRows& normed) {
  const float mean = lane_sum(squares) / static_cast<float>(dim) + kPairNormEps, scale = rsqrtf(mean);
  if (lane_id() == 0) normed.rms[token] = mean * scale;
#pragma unroll
  for (int pack = 0; pack < kMostPacks; ++pack) {
    const int d = (pack * kWarp + lane_id()) * kRowPack;
    if (d >= dim) break;
    float values[kRowPack];
#pragma unroll
    for (int i = 0; i < kRowPack; ++i) values[i] = x[pack].v[i] * scale;
    store_pack<kRowPack>(static_cast<T*>(normed.xn) + token * dim + d, values);
  }
}

}  // namespace bsm::kernels
