#include "nn/cuda/bands_cuda.h"

#include "nn/cuda/bands_fused.h"
#include "nn/cuda/gpu_attribute.h"
#include "nn/cuda/pair_kernels.h"

namespace bsm {

namespace {

bool supports(const torch::Tensor& weight, torch::Dtype dtype) {
  return weight.is_cuda() && (dtype == torch::kBFloat16 || dtype == torch::kFloat16) &&
         gpu_attribute(cudaDevAttrComputeCapabilityMajor, weight) >= 8;
}

}  // namespace

std::unique_ptr<BandFeaturesCuda> prepare_band_features_cuda(const std::vector<BandGroup>& runs,
                                                             torch::Dtype dtype) {
  const int64_t dim = runs[0].weight.size(2);
  const bool has_kernel = dim % 4 == 0 && dim <= kernels::kMaxPairDim;
  return has_kernel && supports(runs[0].weight, dtype) ? fused_band_features(runs, dtype) : nullptr;
}

std::unique_ptr<BandMasksCuda> prepare_band_masks_cuda(const BandGroup& hidden,
                                                       const std::vector<BandGroup>& out,
                                                       torch::Dtype dtype) {
  const bool aligned = hidden.weight.size(2) % 8 == 0;
  return aligned && supports(hidden.weight, dtype) ? fused_band_masks(hidden, out, dtype) : nullptr;
}

}  // namespace bsm
