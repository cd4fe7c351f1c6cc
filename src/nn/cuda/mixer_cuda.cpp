#include "nn/cuda/mixer_cuda.h"

#include "nn/cuda/cuda_error.h"
#include "nn/cuda/gpu_attribute.h"
#include "nn/cuda/mixer_fused.h"

namespace bsm {

using torch::Tensor;

int gpu_attribute(cudaDeviceAttr what, const Tensor& tensor) {
  int value = 0;
  const cudaError_t error = cudaDeviceGetAttribute(&value, what, tensor.get_device());
  if (error != cudaSuccess) throw_cuda_error(error, "being asked for its properties");
  return value;
}

bool mixer_core_cuda_supports(const Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes) {
  if (!zxbcdt.is_cuda() || zxbcdt.dim() != 4 || zxbcdt.stride(3) != 1 || zxbcdt.size(1) > 1 << 30)
    return false;
  const auto dtype = zxbcdt.scalar_type();
  if (dtype != torch::kFloat32 && dtype != torch::kBFloat16 && dtype != torch::kFloat16) return false;
  for (const Tensor* weight : {&weights.conv_weight, &weights.conv_bias, &weights.dt_bias, &weights.A_log,
                               &weights.D, &weights.norm_weight})
    if (weight->device() != zxbcdt.device() || weight->scalar_type() != torch::kFloat32) return false;
  if (!kernels::scan_supports(static_cast<int>(sizes.state), static_cast<int>(sizes.head_dim)) ||
      sizes.d_inner % sizes.head_dim != 0 || sizes.d_inner > 2048 || sizes.conv_width < 2 ||
      sizes.conv_width > kernels::kMaxConvWidth)
    return false;
  if (gpu_attribute(cudaDevAttrComputeCapabilityMajor, zxbcdt) < 8) return false;
  // float32 with the largest states: the gradient needs more shared memory than the small GPUs have.
  return kernels::scan_shared_bytes(mixer_shape(zxbcdt, sizes, Direction::kForward)) <=
         static_cast<size_t>(gpu_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, zxbcdt));
}

Tensor mixer_core_cuda(const Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes,
                       Direction direction, MixerState* state, int64_t state_at) {
  return mixer_core_fused(zxbcdt, weights, sizes, direction, state, state_at);
}

}  // namespace bsm
