// Tensors as arguments of launch functions.
#pragma once

#include <cuda_runtime_api.h>
#include <torch/torch.h>

#include <cstdint>
#include <string>

#include "nn/cuda/cuda_error.h"
#include "nn/cuda/mixer_kernels.h"

namespace bsm {

/// @throws as throw_cuda_error() unless a launch succeeded
inline void check_launch(cudaError_t error, const char* kernel) {
  if (error != cudaSuccess) throw_cuda_error(error, std::string("running the mixer's ") + kernel + " kernel");
}

inline kernels::Strided strided(const torch::Tensor& in) {
  return {in.data_ptr(), in.stride(0), in.stride(1), in.stride(2)};
}

inline const float* floats(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

inline void* data_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr() : nullptr;
}

/// Contiguous and aligned as the kernels' vector loads want it (a slice may start anywhere).
inline torch::Tensor vectorizable(const torch::Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  const torch::Tensor contiguous = tensor.contiguous();
  return reinterpret_cast<uintptr_t>(contiguous.data_ptr()) % 32 == 0 ? contiguous : contiguous.clone();
}

}  // namespace bsm
