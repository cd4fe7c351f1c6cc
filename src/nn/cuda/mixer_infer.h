// The float32 mixer core at inference on tensors: allocates buffers and queues the kernels of
// mixer_infer_kernels.h.
#pragma once

#include <torch/types.h>

#include "nn/mixer.h"

namespace bsm {

/// mixer_core() for float32 arguments that the kernels support, without gradients. Products are those of
/// LibTorch around it: single ones of TF32 where it is allowed to take them, else as exact as float32.
/// @param weights contiguous
/// @throws Error(kDevice, kOutOfMemory) when a launch fails
torch::Tensor mixer_core_infer(const torch::Tensor& zxbcdt, const MixerWeights& weights,
                               const MixerSizes& sizes, Direction direction, MixerState* state,
                               int64_t state_at);

}  // namespace bsm
