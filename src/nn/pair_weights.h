// The weights of a pair of Mamba2 mixers with everything multiplied out that does not depend on the input:
// what the plain operators and the fused block operators compute with.
//
//   y = x + bias + x residual + core_f(rms_norm(x) in_f) out_f + core_b(rms_norm(x) in_b) out_b
//
// with core_f, core_b = mixer_core() forwards and backwards (nn/mixer.h), rms_norm() of nn/blocks.h, and in =
// [in_f | in_b].
#pragma once

#include <torch/types.h>

#include "nn/mixer.h"

namespace bsm {

/// All tensors but those of the cores in the dtype of the products, on one device. D: width of the stream, E:
/// MixerSizes::in_proj_width().
struct PairWeights {
  torch::Tensor in;        ///< [D, E], or [D, 2E] with both directions
  torch::Tensor residual;  ///< [D, D]
  torch::Tensor bias;      ///< [D]
  torch::Tensor out_f;     ///< [d_inner, D]
  torch::Tensor out_b;     ///< [d_inner, D]; undefined: forwards only
  MixerWeights core_f;
  MixerWeights core_b;  ///< undefined tensors: forwards only

  bool both_directions() const { return out_b.defined(); }
};

}  // namespace bsm
