// The norm behind the gate of the float32 mixer core at inference; one warp to a token.
#include "nn/cuda/device.cuh"
#include "nn/cuda/mixer_infer_kernels.h"

namespace bsm::kernels {

namespace {

constexpr int kWarps = 4;
constexpr float kNormEps = 1e-5f;

__global__ void __launch_bounds__(kWarps* kWarp)
    norm_kernel(float* u, const float* weight, int64_t tokens, int d_inner) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (token >= tokens) return;
  const int first = static_cast<int>(threadIdx.x) % kWarp * 4;
  u += token * d_inner;
  float squares = 0;
#pragma unroll 8
  for (int e = first; e < d_inner; e += kWarp * 4) {
    const Pack<float, 4> pack = load_pack<4>(u + e);
#pragma unroll
    for (const float value : pack.v) squares += value * value;
  }
  const float scale = rsqrtf(lane_sum(squares) / static_cast<float>(d_inner) + kNormEps);
#pragma unroll 8
  for (int e = first; e < d_inner; e += kWarp * 4) {  // a second time, from the first-level cache
    const Pack<float, 4> pack = load_pack<4>(u + e);
    float out[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) out[i] = pack.v[i] * scale * weight[e + i];
    store_pack<4>(u + e, out);
  }
}

}  // namespace

cudaError_t launch_infer_norm(const MixerShape& shape, const float* norm_weight, float* u,
                              cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((shape.tokens() + kWarps - 1) / kWarps));
  return launch(norm_kernel, grid, kWarps * kWarp, 0, stream, u, norm_weight, shape.tokens(), shape.d_inner);
}

}  // namespace bsm::kernels
