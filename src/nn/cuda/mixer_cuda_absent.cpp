// Stands in for mixer_cuda.cpp, pair_cuda.cpp and bands_cuda.cpp in builds without CUDA kernels.
#include <torch/torch.h>

#include "nn/cuda/bands_cuda.h"
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

ResidualStream pair_block_cuda(const ResidualStream&, const PairWeightsCuda&, MixerState*, int64_t) {
  TORCH_CHECK(false, "This build has no CUDA kernels; build with nvcc and a LibTorch with CUDA.");
}

std::unique_ptr<BandFeaturesCuda> prepare_band_features_cuda(const std::vector<BandGroup>&, torch::Dtype) {
  return nullptr;
}

std::unique_ptr<BandMasksCuda> prepare_band_masks_cuda(const BandGroup&, const std::vector<BandGroup>&,
                                                       torch::Dtype) {
  return nullptr;
}

}  // namespace bsm
