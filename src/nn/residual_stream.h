// What goes from block to block of a network.
#pragma once

#include <torch/types.h>

namespace bsm {

struct NormedStream {
  torch::Tensor xn;   ///< [B * T * K, D] in the dtype of products: rms_norm(x)
  torch::Tensor rms;  ///< [B * T * K] float32: what x was divided by
};

struct ResidualStream {
  torch::Tensor x;      ///< [B, T, K, D] float32, contiguous
  NormedStream normed;  ///< of x, where the block before had it at hand; undefined elsewhere
};

}  // namespace bsm
