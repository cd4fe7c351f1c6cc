// Band split and mask heads as fused CPU operators for inference in float32: band by band and in blocks of
// frames on the team's threads, without temporaries of the size of the signal.
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

namespace bsm {

/// y = x weight + bias of one band.
struct BandLinear {
  torch::Tensor weight;  ///< [in, out] float32
  torch::Tensor bias;    ///< [out]
};

class BandFeaturesCpu {
 public:
  /// @param bands in the order of their values in a frame; the factors of the norm multiplied in
  explicit BandFeaturesCpu(const std::vector<BandLinear>& bands);
  ~BandFeaturesCpu();
  /// @param frames [B, T, F] float32  @return [B, T, K, D] float32, contiguous
  torch::Tensor forward(const torch::Tensor& frames) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class BandMasksCpu {
 public:
  /// @param hidden per band [D, hidden], the factors of the norm multiplied in  @param out [hidden, 2 width]
  /// Each band is let go once it is packed, so that large heads do not stand twice in memory.
  BandMasksCpu(std::vector<BandLinear> hidden, std::vector<BandLinear> out);
  ~BandMasksCpu();
  /// @param x [B, T, K, D] float32: the stream before its norm; any strides but the last
  /// @return [B, T, F] float32, contiguous
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bsm
