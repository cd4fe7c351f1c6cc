// A block of two Mamba2 mixers as fused CUDA kernels (see nn/pair_weights.h for what is computed): inference
// in bfloat16 or float16.
#pragma once

#include <torch/types.h>

#include <memory>

#include "nn/mixer.h"
#include "nn/pair_weights.h"
#include "nn/residual_stream.h"

namespace bsm {

struct PairWeightsCuda;

/// The weights as the kernels want them; null when there are no kernels for this device, these sizes or this
/// dtype, and in builds without CUDA.
/// @param weights float32 throughout, on the device that is to compute  @param dtype of the products
std::shared_ptr<const PairWeightsCuda> prepare_pair_cuda(const PairWeights& weights, const MixerSizes& sizes,
                                                         torch::Dtype dtype);

/// The block's new residual stream.
/// @param stream  x as [outer, L, inner, D]; sequences run along L  @return the same shape
/// @param state, state_at  as for mixer_core()
/// @throws Error(kFailed) when a launch fails
ResidualStream pair_block_cuda(const ResidualStream& stream, const PairWeightsCuda& weights,
                               MixerState* state, int64_t state_at);

}  // namespace bsm
