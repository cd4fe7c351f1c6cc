// Batches of training mixtures, made on the device from the packed samples and the draws of draw.h. The
// processor sends one small tensor of parameters per batch and never waits, so the device computes without
// gaps.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "train/decode.h"
#include "train/draw.h"
#include "train/effects.h"
#include "train/track_index.h"

namespace bsm {

/// Float32 [batch, 2, samples] each; vocals + instrumental == mixture to the last bit.
struct TrainingBatch {
  torch::Tensor vocals;
  torch::Tensor instrumental;
  torch::Tensor mixture;
};

/// The tracks in the layout of `index`: int32 [index.packed_frames] on `device`, each the two 16-bit channels
/// of one sample (left first in memory). Tracks are released as they are copied.
torch::Tensor pack_tracks(const TrackIndex& index, std::vector<DecodedTrack>&& tracks,
                          const torch::Device& device);

class BatchAssembler {
 public:
  /// `packed` as from pack_tracks(), on the device on which batches are made.
  BatchAssembler(torch::Tensor packed, const AugmentConfig& augment, int sample_rate_hz,
                 int64_t segment_samples);

  TrainingBatch assemble(const BatchDraw& draw) const;

 private:
  struct Parameters;
  Parameters upload(const BatchDraw& draw) const;
  torch::Tensor crops(const Parameters& parameters) const;
  /// The packed samples at `position` [R, n] float64, of tracks from `first` to before `last` [R, 1]: [R, 2,
  /// n]
  torch::Tensor read(const torch::Tensor& position, const torch::Tensor& first,
                     const torch::Tensor& last) const;
  torch::Tensor spectral_gain(const Parameters& parameters) const;
  torch::Tensor pause_envelope(const Parameters& parameters) const;

  torch::Tensor packed_;
  bool balance_levels_;
  int sample_rate_hz_;
  int64_t segment_samples_;
  torch::Tensor kernel_;    // [taps, phases + 1]: windowed sinc
  torch::Tensor eq_basis_;  // [kEqKnots, rfft bins]: contribution of each knot
  torch::Tensor bin_hz_;    // [rfft bins]
  torch::Tensor time_;      // [segment_samples], float64, samples
  torch::Tensor time_s_;    // the same in seconds, float32
  Reverb reverb_;
};

}  // namespace bsm
