// Launch functions of the inference kernels of a block: both directions of a Mamba2 pair (nn/blocks.cpp) in
// the same launches, 16-bit activations, no gradients. Like mixer_kernels.h they know nothing of LibTorch.
//
// A block is   y = x + bias + rms(x) (xn W_res) + sum over directions of r (u M),   xn = x / rms(x),
// with u the gated output of the scan before its norm and r = 1 / rms(u): the factors of the norms are folded
// into the matrices, the norms themselves are row factors that commute with the products. So the norm ahead
// of the output projection costs no pass over u, only one sum of squares for each head.
//
// Tokens are numbered (outer, element, inner) in input order: token = (o * length + l) * inner + i. Sequence
// (o, i) runs over l, in direction 1 from the last to the first. "Scan order" counts in the direction of the
// scan.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "nn/cuda/mixer_kernels.h"

namespace bsm::kernels {

struct PairShape {
  Scalar scalar = Scalar::kBfloat16;  ///< of xn, projected, u and products; never kFloat32
  int directions = 2;                 ///< 1: forward only
  int64_t outer = 0;
  int64_t inner = 0;
  int length = 0;
  int dim = 0;
  int d_inner = 0;
  int state = 0;
  int head_dim = 0;
  int conv_width = 0;
  bool group_products = false;  ///< by warpgroups (wgmma.cuh), see gpu_has_group_products()

  __host__ __device__ int heads() const { return d_inner / head_dim; }
  __host__ __device__ int channels() const { return d_inner + 2 * state; }
  __host__ __device__ int64_t sequences() const { return outer * inner; }
  __host__ __device__ int64_t tokens() const { return sequences() * length; }
  /// Columns [z | x | B | C | dt] of a direction in `projected`, padded so that rows, and in them the heads
  /// of both directions, start at a cache line of 128 bytes.
  __host__ __device__ int slab() const { return (d_inner + channels() + heads() + 63) / 64 * 64; }
  /// Columns of `projected`: a slab for each direction.
  __host__ __device__ int projected_width() const { return directions * slab(); }
};

constexpr int kMaxPairDim = 512;
/// Whether the kernels exist for these sizes on any GPU; pair_shared_bytes() must be had as well.
bool pair_supports(const PairShape& shape);
size_t pair_shared_bytes(const PairShape& shape);
size_t pair_chunks_bytes(const PairShape& shape);      ///< of launch_pair_chunks()
size_t pair_scan_bytes(const PairShape& shape);        ///< of launch_pair_scan()
size_t pair_scan_short_bytes(const PairShape& shape);  ///< of launch_pair_scan_short()

/// Learned values of both directions, [directions, ...] float32. What goes into a SiLU is halved, exactly, as
/// SiLU(2 h) = h + h tanh(h): taps, their bias, and the columns of the input projection that make z.
struct ScanWeights {
  const float* taps;       ///< [directions, kMaxConvWidth, channels], leading zeros for shorter convolutions
  const float* conv_bias;  ///< [directions, channels]
  const float* dt_bias;    ///< [directions, heads]
  const float* A_log;      ///< [directions, heads]
  const float* D;          ///< [directions, heads]
};

/// Where a block reads or writes the residual stream: rows of `dim` floats. Sequences may be a slice of the
/// stream's.
struct StreamView {
  float* data = nullptr;
  int64_t stride_outer = 0, stride_length = 0, stride_inner = 0;
};

/// Rows of a stream after their norm.
struct NormedRows {
  void* xn = nullptr;    ///< [tokens, dim]: x / rms
  float* rms = nullptr;  ///< [tokens]: sqrt(mean(x^2) + 1e-5)
};

cudaError_t launch_pair_norm(const PairShape& shape, const StreamView& x, const NormedRows& normed,
                             cudaStream_t stream);

/// The state that direction 0 starts from and leaves. All null but for streams.
struct CarriedState {
  const float* conv_in = nullptr;  ///< [S, conv_width - 1, channels], oldest first
  const float* ssm_in = nullptr;   ///< [S, heads, head_dim, state]
  float* ssm_out = nullptr;        ///< same; after `state_at` elements
  int state_at = 0;

  /// Where direction 0 has a seam between chunks; 0: nowhere.
  __host__ __device__ int taken_at() const { return ssm_out != nullptr ? state_at : 0; }
};

/// What the scan of long sequences needs of each chunk, in scan order, made once for all heads.
struct ChunkBuffers {
  void* bc;      ///< [directions, S, most_chunks, pair_bc_elements()]: B and C after convolution and SiLU
  void* scores;  ///< [directions, S, most_chunks, kScoreElements]: C B^T, see pair.cuh
  void* decays;  ///< [directions, S, most_chunks, heads] of pair_decays_bytes(): see pair.cuh
};
/// Most chunks that a sequence is cut into.
int64_t pair_most_chunks(const PairShape& shape);
int64_t pair_bc_elements(const PairShape& shape);
int64_t pair_score_elements();
int64_t pair_decays_bytes();

cudaError_t launch_pair_chunks(const PairShape& shape, const void* projected, const ScanWeights& weights,
                               const CarriedState& state, const ChunkBuffers& chunks, cudaStream_t stream);

/// Convolution of x, scan, skip and gate of sequences of any length; a block of threads owns one or two heads
/// of one sequence and carries its state from chunk to chunk.
/// @param u       [directions, tokens, d_inner]: (y + D x) SiLU(z), in input order
/// @param squares [directions, tokens, heads]: sum of u^2 over a head
cudaError_t launch_pair_scan(const PairShape& shape, const void* projected, const ScanWeights& weights,
                             const ChunkBuffers& chunks, const CarriedState& state, void* u, float* squares,
                             cudaStream_t stream);

/// Whether the current device can multiply by warpgroups; false on an error, too.
bool gpu_has_group_products();

/// [tokens, dim] times the input projection's weights.
/// @param weights    [projected_width(), dim]
/// @param projected  [tokens, projected_width()]
cudaError_t launch_pair_project(const PairShape& shape, const void* xn, const void* weights, void* projected,
                                cudaStream_t stream);

/// Whether launch_pair_scan() multiplies by warpgroups; launch_pair_chunks() then leaves B and C as tiles
/// (tiles.cuh).
bool pair_scans_groups(const PairShape& shape);
/// launch_pair_scan() there.
cudaError_t launch_pair_scan_groups(const PairShape& shape, const void* projected, const ScanWeights& weights,
                                    const ChunkBuffers& chunks, const CarriedState& state, void* u,
                                    float* squares, cudaStream_t stream);

/// Longest sequence of launch_pair_scan_short().
constexpr int kPairShortLength = 64;
/// launch_pair_chunks() and launch_pair_scan() at once for short sequences without state: all heads in one
/// block.
cudaError_t launch_pair_scan_short(const PairShape& shape, const void* projected, const ScanWeights& weights,
                                   void* u, float* squares, cudaStream_t stream);

/// What the end of a block reads but for the stream; `weights` is [xn | u of each direction]'s matrix.
struct MergeInputs {
  const void* xn;        ///< [tokens, dim]
  const float* rms;      ///< [tokens], of x
  const void* u;         ///< of the scan, as `squares`
  const float* squares;  //
  const void*
      weights;  ///< [(dim + directions d_inner) / 64, dim, 64], slices of its transpose as tiles (wgmma.cuh)
  const float* bias;  ///< [dim]
};

/// Whether launch_pair_project() and launch_pair_merge_products() exist for this shape.
bool pair_has_own_products(const PairShape& shape);
/// y = x + bias + rms(x) (xn W_res) + sum of r (u M), see above.
/// @param normed  null, or what launch_pair_norm() would make of y
cudaError_t launch_pair_merge_products(const PairShape& shape, const MergeInputs& in, const StreamView& x,
                                       const StreamView& y, const NormedRows& normed, cudaStream_t stream);

/// The same where the products are made already.
/// @param products  [1 + directions, tokens, dim]: xn W_res, then u M; of `in`, only factors and bias are
/// read
cudaError_t launch_pair_merge(const PairShape& shape, const void* products, const MergeInputs& in,
                              const StreamView& x, const StreamView& y, const NormedRows& normed,
                              cudaStream_t stream);

}  // namespace bsm::kernels
