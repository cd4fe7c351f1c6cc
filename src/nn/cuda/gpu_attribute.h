// Properties of the GPU that a tensor is on.
#pragma once

#include <cuda_runtime_api.h>
#include <torch/types.h>

namespace bsm {

/// @throws Error(kDevice) when the GPU does not answer
int gpu_attribute(cudaDeviceAttr what, const torch::Tensor& tensor);

}  // namespace bsm
