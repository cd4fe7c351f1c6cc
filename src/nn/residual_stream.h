// What goes from block to block of a network.
#pragma once

#include <torch/types.h>

namespace bsm {

struct ResidualStream {
  torch::Tensor x;  ///< [B, T, K, D] float32, contiguous
  /// rms_norm(x) in the dtype of products, [B * T * K, D], where the block before had it at hand; undefined
  /// elsewhere.
  torch::Tensor normed;
};

}  // namespace bsm
