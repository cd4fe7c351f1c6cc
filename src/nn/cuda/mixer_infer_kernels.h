// Launch functions of the float32 mixer core at inference (see nn/mixer.h for what is computed): no
// gradients, so nothing is written but what the next kernel reads. Like mixer_kernels.h they know nothing of
// LibTorch, and "scan order" is that of mixer_kernels.h. Products are single ones of TF32 or make up float32:
// MixerShape::single_products.
#pragma once

#include "nn/cuda/mixer_kernels.h"

namespace bsm::kernels {

/// Learned values of one mixer core but for its norm, as in MixerWeights.
struct InferWeights {
  const float* conv_weight;
  const float* conv_bias;
  const float* dt_bias;
  const float* A_log;
  const float* D;
};

/// The state that the scan starts from and leaves. All null but for streams.
struct InferState {
  const float* conv_in = nullptr;  ///< [S, conv_width - 1, conv_channels], oldest first
  const float* ssm_in = nullptr;   ///< [S, H, P, N]
  float* ssm_out = nullptr;        ///< same; after `state_at` elements
  int state_at = 0;

  /// Where there is a seam between chunks; 0: nowhere.
  int taken_at() const { return ssm_out != nullptr ? state_at : 0; }
};

/// Elements that the scan takes at once.
constexpr int kInferChunk = 32;
/// How a sequence is cut in scan order. Where a state is taken, there is a seam.
struct InferChunks {
  int length, taken_at;  // 0: nowhere

  __host__ __device__ int before() const { return (taken_at + kInferChunk - 1) / kInferChunk; }
  __host__ __device__ int count() const {
    return before() + (length - taken_at + kInferChunk - 1) / kInferChunk;
  }
  __host__ __device__ int begin(int chunk) const {
    return chunk < before() ? chunk * kInferChunk : taken_at + (chunk - before()) * kInferChunk;
  }
  __host__ __device__ int end(int chunk) const {
    const int end = begin(chunk) + kInferChunk, limit = chunk < before() ? taken_at : length;
    return end < limit ? end : limit;
  }
};

/// What the scan needs of each chunk, in scan order, made once for all heads; chunks as InferChunks counts.
struct InferBuffers {
  float* common;  ///< [S, chunks, infer_common_floats()]: B, C and C B^T, see mixer_infer.cuh
  float* decays;  ///< [S, chunks, H, 2 kInferChunk]: see mixer_infer.cuh
};
int infer_common_floats(const MixerShape& shape);

/// zxbcdt in these launches: rows 16-byte aligned from their z, x and B columns on.
bool infer_aligned(const MixerShape& shape, const Strided& zxbcdt);

/// Convolution and SiLU of [B | C], C B^T and the decays.
cudaError_t launch_infer_chunks(const MixerShape& shape, const Strided& zxbcdt, const InferWeights& weights,
                                const InferState& state, const InferBuffers& chunks, cudaStream_t stream);

/// Convolution of x, scan, skip and gate; a block of threads owns two heads of one sequence and carries their
/// states from chunk to chunk in registers.
/// @param u [outer, L, inner, d_inner] contiguous: (y + D x) SiLU(z)
cudaError_t launch_infer_scan(const MixerShape& shape, const Strided& zxbcdt, const InferWeights& weights,
                              const InferBuffers& chunks, const InferState& state, float* u,
                              cudaStream_t stream);

/// u <- RMSNorm(u) norm_weight, in place.
/// @param norm_weight 16-byte aligned
cudaError_t launch_infer_norm(const MixerShape& shape, const float* norm_weight, float* u,
                              cudaStream_t stream);

}  // namespace bsm::kernels
