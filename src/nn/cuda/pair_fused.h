// A pair of Mamba2 mixers on tensors: allocates buffers and queues the kernels of pair_kernels.h and the
// matrix products between them. Inference only.
#pragma once

#include <torch/types.h>

#include "nn/cuda/pair_kernels.h"
#include "nn/mixer.h"
#include "nn/pair_weights.h"
#include "nn/residual_stream.h"

namespace bsm {

/// PairWeights as the kernels want them: both directions side by side, the norm's factors multiplied into
/// `out`.
struct PairWeightsCuda {
  MixerSizes sizes;
  int directions;
  torch::Tensor in;     ///< [PairShape::projected_width(), D] 16-bit: a slab for each direction
  torch::Tensor out;    ///< [D + directions d_inner, D] 16-bit: `residual`, then that of each direction
  bool group_products;  ///< see kernels::PairShape
  bool own_products;    ///< see kernels::pair_has_own_products(); `out` lies as kernels::MergeInputs::weights
  torch::Tensor bias;   ///< [D] float32, as all that follow
  torch::Tensor taps;   ///< [directions, kMaxConvWidth, channels]
  torch::Tensor conv_bias;          ///< [directions, channels]
  torch::Tensor dt_bias, A_log, D;  ///< [directions, heads]
};

/// @param weights float32 throughout  @param dtype bfloat16 or float16
PairWeightsCuda pair_weights_cuda(const PairWeights& weights, const MixerSizes& sizes, torch::Dtype dtype);

/// The sizes of a call on x [outer, L, inner, D] as the kernels want them.
kernels::PairShape pair_shape(const torch::Tensor& x, const PairWeightsCuda& weights);

/// Bytes that the projections of one slice of sequences may take: a block runs slice by slice, so that its
/// memory does not grow with the batch. Four windows of 8 s of the published network: fewer leave the last
/// blocks of a launch too much of the GPU.
constexpr int64_t kPairSliceBytes = int64_t{2} << 30;

/// The block's new residual stream.
/// @param stream  x as [outer, L, inner, D]; sequences run along L
/// @param state, state_at  as for mixer_core()
/// @return the same shape; `normed` where a slice's tokens are neighbours
/// @throws Error(kFailed) when a launch fails
ResidualStream pair_block_fused(const ResidualStream& stream, const PairWeightsCuda& weights,
                                MixerState* state = nullptr, int64_t state_at = 0,
                                int64_t slice_bytes = kPairSliceBytes);

}  // namespace bsm
