// What a network costs at least, from its sizes alone: floating point operations (a multiplication and an
// addition count two) and bytes that must move. Lower bounds for benchmarks to measure against.
#pragma once

#include <cstdint>

#include "nn/config.h"
#include "nn/stages.h"

namespace bsm {

/// Of one forward pass. The network as the paper writes it: folding matrices into each other, as inference
/// does with the merge, saves up to 4 % of the products.
struct NetworkCost {
  double band_split_flop = 0;
  double projection_flop = 0;    ///< matrices ahead of scans or attentions
  double conv_flop = 0;          ///< depthwise convolutions
  double sequence_flop = 0;      ///< scans as the plain recurrence, the least of all forms; or the two
                                 ///< products of attention, which grow with the window
  double feed_forward_flop = 0;  ///< BS-RoFormer
  double merge_flop = 0;         ///< matrices after scans or attentions
  double mask_flop = 0;
  /// Weights once, frames in and masks out in float32, the residual stream once in and out of every block.
  double bytes = 0;

  /// Dense matrix products alone.
  double product_flop() const {
    return band_split_flop + projection_flop + feed_forward_flop + merge_flop + mask_flop;
  }
  double flop() const { return product_flop() + conv_flop + sequence_flop; }
  /// The part of a stage; kMixerCore and kConvScan are two names of one part.
  double stage_flop(Stage stage) const;
};

/// @param batch windows of `frames` frames each
/// @param bytes_per_value of weights and residual stream: 4, or 2 in half precision
NetworkCost network_cost(const ModelConfig& config, int64_t batch, int64_t frames, int64_t bytes_per_value);

/// State that one stream carries over hops (float32): forward scans and convolutions along time.
double carried_state_bytes(const ModelConfig& config);

}  // namespace bsm
