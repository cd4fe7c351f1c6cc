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

}  // namespace bsm::kernels
