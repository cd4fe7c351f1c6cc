// A block of two Mamba2 mixers as one fused CPU operator (see nn/pair_weights.h for what is computed):
// inference in float32.
//
// It goes through slices of sequences, each on one thread, and through each sequence in chunks whose values
// stay in the caches. Sequences are read and written where they lie in the stream, the backward direction
// from their end; products with packed weights are part of it (product.h).
#pragma once

#include <torch/types.h>

#include <memory>

#include "nn/mixer.h"
#include "nn/pair_weights.h"

namespace bsm {

struct PairWeightsCpu;

/// The weights as the kernels want them, for the instruction set of cpu_kernels(); null when the operator
/// does not compute on this device or in this dtype.
/// @param weights float32 throughout  @param dtype of the products
std::shared_ptr<const PairWeightsCpu> prepare_pair_cpu(const PairWeights& weights, const MixerSizes& sizes,
                                                       torch::Dtype dtype);

/// The block's new residual stream, in the place of the old one.
/// @param x [outer, L, inner, D] float32, any strides but the last; sequences run along L
/// @param state, state_at  as for mixer_core(). The memory of a state that nobody else holds is used again.
void pair_block_cpu(const torch::Tensor& x, const PairWeightsCpu& weights, MixerState* state,
                    int64_t state_at);

}  // namespace bsm
