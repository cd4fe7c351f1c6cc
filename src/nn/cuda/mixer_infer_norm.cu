// The norm behind the gate of the float32 mixer core at inference; one warp to a token.
#include "nn/cuda/device.cuh"
#include "nn/cuda/mixer_infer_kernels.h"

namespace bsm::kernels {

namespace {

constexpr int kWarps = 4, kV = 4;
constexpr float kNormEps = 1e-5f;

/// @tparam Packs  of a lane: a row has at most Packs * kWarp * kV elements
template <int Packs>
__global__ void __launch_bounds__(kWarps* kWarp)
    norm_kernel(float* u, const float* weight, int64_t tokens, int d_inner) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (token >= tokens) return;
  const int first = static_cast<int>(threadIdx.x) % kWarp * kV;
  u += token * d_inner;
  Pack<float, kV> row[Packs];
  float squares = 0;
#pragma unroll
  for (int pack = 0; pack < Packs; ++pack) {
    const int e = first + pack * kWarp * kV;
    if (e >= d_inner) break;
    row[pack] = load_pack<kV>(u + e);
#pragma unroll
    for (const float value : row[pack].v) squares += value * value;
  }
  const float scale = rsqrtf(lane_sum(squares) / static_cast<float>(d_inner) + kNormEps);
#pragma unroll
  for (int pack = 0; pack < Packs; ++pack) {
    const int e = first + pack * kWarp * kV;
    if (e >= d_inner) break;
    const Pack<float, kV> factor = load_pack<kV>(weight + e);
    float out[kV];
#pragma unroll
    for (int i = 0; i < kV; ++i) out[i] = row[pack].v[i] * scale * factor.v[i];
    store_pack<kV>(u + e, out);
  }
}

}  // namespace

cudaError_t launch_infer_norm(const MixerShape& shape, const float* norm_weight, float* u,
                              cudaStream_t stream) {
  constexpr int kMost = 2048;
  if (shape.d_inner > kMost) return cudaErrorInvalidValue;
  const dim3 grid(static_cast<unsigned>((shape.tokens() + kWarps - 1) / kWarps));
  return launch(
      shape.d_inner <= kMost / 2 ? norm_kernel<kMost / 2 / (kWarp * kV)> : norm_kernel<kMost / (kWarp * kV)>,
      grid, kWarps * kWarp, 0, stream, u, norm_weight, shape.tokens(), shape.d_inner);
}

}  // namespace bsm::kernels
