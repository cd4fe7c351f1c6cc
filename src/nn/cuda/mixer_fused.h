// The fused mixer core on tensors: allocates buffers, launches the kernels of mixer_kernels.h in order, and
// makes them one differentiable operator. Where tensors live and which stream they use is left to
// current_stream().
#pragma once

#include <cuda_runtime_api.h>
#include <torch/types.h>

#include "nn/cuda/mixer_kernels.h"
#include "nn/mixer.h"

namespace bsm {

/// The stream on which work on this tensor's device is queued now. Defined by mixer_cuda.cpp (and by tests).
cudaStream_t current_stream(const torch::Tensor& tensor);

/// Sizes of a call as the kernels want them.
kernels::MixerShape mixer_shape(const torch::Tensor& zxbcdt, const MixerSizes& sizes, Direction direction);

/// mixer_core() for arguments that the kernels support. Differentiable (once) without state; with a state the
/// result carries no gradient. Saves the input and the scan's output for the backward pass and recomputes the
/// rest.
/// @throws Error(kFailed) when a launch fails
torch::Tensor mixer_core_fused(const torch::Tensor& zxbcdt, const MixerWeights& weights,
                               const MixerSizes& sizes, Direction direction, MixerState* state,
                               int64_t state_at);

}  // namespace bsm
