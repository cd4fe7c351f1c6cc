// Band split and mask heads as grouped products with fused CUDA kernels around them: inference in bfloat16 or
// float16.
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

#include "nn/residual_stream.h"

namespace bsm {

/// Neighbouring bands of equal width as one batched product y = x weight + bias.
struct BandGroup {
  torch::Tensor weight;  ///< [bands, in, out]
  torch::Tensor bias;    ///< [bands, 1, out]
};

class BandFeaturesCuda {
 public:
  virtual ~BandFeaturesCuda() = default;
  /// @param frames [B, T, F] float32  @return [B, T, K, D] with its norm
  virtual ResidualStream forward(const torch::Tensor& frames) const = 0;
};

class BandMasksCuda {
 public:
  virtual ~BandMasksCuda() = default;
  /// @param x [B, T, K, D] float32: the stream before its norm  @return [B, T, F] float32, contiguous
  virtual torch::Tensor forward(const torch::Tensor& x) const = 0;
};

/// Null when there are no kernels for this device or this dtype, and in builds without CUDA.
/// @param runs  weights float32 on the device that is to compute, the factors of the norm multiplied in
std::unique_ptr<BandFeaturesCuda> prepare_band_features_cuda(const std::vector<BandGroup>& runs,
                                                             torch::Dtype dtype);
/// @param hidden [K, D, hidden]  @param out per run [bands, hidden, 2 width]
std::unique_ptr<BandMasksCuda> prepare_band_masks_cuda(const BandGroup& hidden,
                                                       const std::vector<BandGroup>& out, torch::Dtype dtype);

}  // namespace bsm
