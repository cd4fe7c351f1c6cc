// Fused CPU version of mixer_core() (see nn/mixer.h): one pass over each sequence with the state in cache.
#pragma once

#include <torch/types.h>

#include "nn/mixer.h"

namespace bsm {

/// Whether mixer_core_cpu() can run these arguments (CPU, float32, no gradient needed).
bool mixer_core_cpu_supports(const torch::Tensor& zxbcdt, const MixerWeights& weights,
                             const MixerSizes& sizes);

/// Contract of mixer_core(). Parallel over sequences through at::parallel_for.
torch::Tensor mixer_core_cpu(const torch::Tensor& zxbcdt, const MixerWeights& weights,
                             const MixerSizes& sizes, Direction direction, MixerState* state,
                             int64_t state_at);

}  // namespace bsm
