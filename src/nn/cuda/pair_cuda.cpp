#include "nn/cuda/pair_cuda.h"

#include "nn/cuda/gpu_attribute.h"
#include "nn/cuda/pair_fused.h"

namespace bsm {

std::shared_ptr<const PairWeightsCuda> prepare_pair_cuda(const PairWeights& weights, const MixerSizes& sizes,
                                                         torch::Dtype dtype) {
  if (!weights.in.is_cuda() || (dtype != torch::kBFloat16 && dtype != torch::kFloat16)) return nullptr;
  const PairWeightsCuda prepared = pair_weights_cuda(weights, sizes, dtype);
  const kernels::PairShape shape =
      pair_shape(torch::empty({1, 1, 1, weights.in.size(0)}, weights.in.options()), prepared);
  if (!kernels::pair_supports(shape) || gpu_attribute(cudaDevAttrComputeCapabilityMajor, weights.in) < 8 ||
      kernels::pair_shared_bytes(shape) >
          static_cast<size_t>(gpu_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, weights.in)))
    return nullptr;
  return std::make_shared<const PairWeightsCuda>(prepared);
}

ResidualStream pair_block_cuda(const ResidualStream& stream, const PairWeightsCuda& weights,
                               MixerState* state, int64_t state_at) {
  return pair_block_fused(stream, weights, state, state_at);
}

}  // namespace bsm
