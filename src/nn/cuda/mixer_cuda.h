// Fused CUDA version of mixer_core() (see nn/mixer.h), forward and backward.
#pragma once

#include <torch/types.h>

#include "nn/mixer.h"

namespace bsm {

/// Whether mixer_core_cuda() can run these arguments (CUDA sm_80 or later, supported sizes and dtype). Always false in
/// builds without CUDA.
bool mixer_core_cuda_supports(const torch::Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes);

/// Contract of mixer_core(), differentiable (autograd) when no state is given.
torch::Tensor mixer_core_cuda(const torch::Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes,
                              Direction direction, MixerState* state, int64_t state_at);

}  // namespace bsm
