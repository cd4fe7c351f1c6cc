// The networks written straight down from their description, one operator per line, sequence by sequence and
// band by band, with nothing folded, batched or cached: what the fast path of src/nn is held to.
#pragma once

#include <torch/torch.h>

#include "nn/network.h"

namespace bsm {

/// Masks [B, S, T, F] of `network`'s parameters for frames [B, T, F]. Differentiable.
torch::Tensor reference_masks(const SeparationNetwork& network, const torch::Tensor& frames);

}  // namespace bsm
