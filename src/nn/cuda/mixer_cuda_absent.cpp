// Stands in for mixer_cuda.cpp and pair_cuda.cpp in builds without CUDA kernels.
#include <torch/torch.h>

#include "nn/cuda/mixer_cuda.h"
#include "nn/cuda/pair_cuda.h"

namespace bsm {

bool mixer_core_cuda_supports(const torch::Tensor&, const MixerWeights&, const MixerSizes&) { return false; }

torch::Tensor mixer_core_cuda(const torch::Tensor&, const MixerWeights&, const MixerSizes&, Direction,
                              MixerState*, int64_t) {
  TORCH_CHECK(false, "This build has no CUDA kernels; build with nvcc and a LibTorch with CUDA.");
}

std::shared_ptr<const PairWeightsCuda> prepare_pair_cuda(const PairWeights&, const MixerSizes&,
                                                         torch::Dtype) {
  return nullptr;
}

torch::Tensor pair_block_cuda(const torch::Tensor&, const PairWeightsCuda&, MixerState*, int64_t) {
  TORCH_CHECK(false, "This build has no CUDA kernels; build with nvcc and a LibTorch with CUDA.");
}

}  // namespace bsm
