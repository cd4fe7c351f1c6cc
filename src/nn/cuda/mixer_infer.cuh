// What the kernels of a float32 mixer core at inference share: the order in which a chunk's matrices are kept
// and the convolution's inputs.
//
// The scan computes y^T = h C^T + x^T M^T and h <- decay h + (w x)^T B with the rows (p) of a head spread
// over warps, so that a warp's share of the state is both accumulator and, as it stands, first factor. B, C
// and M = C B^T times decays are always the second factor. They are kept as the multiplication wants them: a
// lane (g = lane / 4, q = lane % 4) finds the four values of its FragmentB side by side, those with
//   k = 2q, 2q + 1, 2q + 8, 2q + 9 of 16  and  n = g of 8.
//   B  [2 blocks of 16 elements s (k)] [N / 8 tiles of n]         [32 lanes] [4]
//   C  [4 tiles of 8 elements t (n)]   [N / 16 blocks of n (k)]   [32 lanes] [4]
//   M  [3 blocks]                      [2 tiles of 8 t (n)]       [32 lanes] [4]   over 16 elements s (k)
// The blocks of M [16 t, 16 s] are those on and below the diagonal: (0, 0), (1, 0), (1, 1).
#pragma once

#include "nn/cuda/mixer_infer_kernels.h"
#include "nn/cuda/scan.cuh"

namespace bsm::kernels {

constexpr int kHaloInputs = kMaxConvWidth - 1;  ///< inputs that the convolution sees before a chunk
constexpr int kInferBlocks = 3;                 ///< of M
__device__ inline int infer_block_t(int block) { return (block + 1) / 2; }
__device__ inline int infer_block_s(int block) { return block / 2; }

/// What all heads share of a chunk. B and C are rounded for multiplication, the scores are not.
template <int N>
struct InferCommon {
  float B[kInferChunk * N];
  float C[kInferChunk * N];
  float scores[kInferBlocks * 16 * 16];  ///< C_t . B_s, in the order of M
};

/// One head of a chunk. With E_t = log2 of the decay from the chunk's start up to and with element t, source
/// s adds to element t what it is times exp2(E_t - from_s), from_s = E_s - log2 dt_s. Elements that are not
/// there have dt = 0: they add nothing.
struct InferDecays {
  float log_decay[kInferChunk];  ///< E_t
  float from[kInferChunk];
};

/// The convolution's output for a pair of channels from its last four inputs.
__device__ inline float2 convolve_pair(const float2 (&taps)[kMaxConvWidth], float2 bias,
                                       const float2* inputs) {
  float2 sum = bias;
#pragma unroll
  for (int k = 0; k < kMaxConvWidth; ++k) {
    sum.x += taps[k].x * inputs[k].x;
    sum.y += taps[k].y * inputs[k].y;
  }
  return {silu(sum.x), silu(sum.y)};
}

/// Tap k of kMaxConvWidth of a channel: shorter convolutions have leading zeros.
__device__ inline float tap_of(const float* weight, int width, int channel, int k) {
  const int own = k - (kMaxConvWidth - width);
  return own >= 0 ? weight[channel * width + own] : 0.0f;
}

/// Row of the stored inputs before the first element that stands for element l < 0; null: zeros.
__device__ inline const float* stored_input(const float* stored, int64_t sequence, int l, int width,
                                            int channels) {
  const int row = l + width - 1;
  return stored != nullptr && row >= 0 ? stored + (sequence * (width - 1) + row) * channels : nullptr;
}

/// Calls body(T{}) with the type whose products the call wants.
template <typename Body>
cudaError_t with_products(const MixerShape& shape, Body body) {
  if (shape.scalar != Scalar::kFloat32) return cudaErrorInvalidValue;
  return shape.single_products ? body(Tf32{}) : body(float{});
}

}  // namespace bsm::kernels
