// Scores of a network on whole songs while it trains: quick, in windows on the device, and the same at every
// call.
#pragma once

#include <torch/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/audio.h"
#include "nn/network.h"
#include "train/decode.h"
#include "train/wave_transform.h"

namespace bsm {

/// A song; mixture = vocals + accompaniment.
struct ValidationSong {
  std::string folder;
  AudioBuffer vocals;
  AudioBuffer accompaniment;
};

/// Mean uSDR over the songs, dB.
struct ValidationScore {
  double vocals_db = 0;
  double instrumental_db = 0;
};

/// Songs from decoded tracks (pairs of vocals and accompaniment with one song number), stems cut to the
/// shorter one, at that balance or as they are.
std::vector<ValidationSong> make_validation_songs(const std::vector<DecodedTrack>& tracks, int sample_rate_hz,
                                                  std::optional<double> balance_db);

class Validator {
 public:
  /// Windows of `window_s`, of which the outer eighths (at most 1 s each) are context and are dropped;
  /// `batch` at a time.
  Validator(std::vector<ValidationSong> songs, double window_s, int batch, const torch::Device& device);

  bool empty() const { return songs_.empty(); }
  /// Needs at least one song. The network must be prepared for inference.
  ValidationScore score(SeparationNetwork& network, WaveTransform& transform) const;
  /// The network's voice in one mixture [2, n], on the device -> [2, n].
  torch::Tensor separate(SeparationNetwork& network, WaveTransform& transform,
                         const torch::Tensor& mixture) const;

 private:
  std::vector<ValidationSong> songs_;
  double window_s_;
  int batch_;
  torch::Device device_;
};

}  // namespace bsm
