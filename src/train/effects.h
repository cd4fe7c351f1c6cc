// What rooms and mastering do to training mixtures, for whole batches on the device: reverb of single
// sources, and gains of a mixture (compressor, limiter) that both stems share, so that they still sum to it.
// Nothing here waits for the device.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "train/draw.h"

namespace bsm {

/// RMS over the 100 ms windows (both channels) that sound, 0 where none does. [R, 2, n] -> [R]
torch::Tensor sounding_rms(const torch::Tensor& audio, int sample_rate_hz);

/// Synthetic rooms: exponentially decaying stereo noise (Moorer 1979), damped towards high frequencies.
class Reverb {
 public:
  static constexpr double kLongest_s = 2.5;  ///< impulse responses end here at the latest

  Reverb(int sample_rate_hz, const torch::Device& device);

  /// Rooms, one row each. All [R] float32 on the device.
  struct Rooms {
    torch::Tensor decay_s;   ///< time to -60 dB
    torch::Tensor delay_s;   ///< until the first reflection
    torch::Tensor level_db;  ///< energy of the impulse response, relative to the direct sound
    torch::Tensor damp_hz;   ///< -3 dB point of a first-order low-pass on the reflections
    torch::Tensor noise;     ///< int64 in [0, kReverbNoises): which noise
  };
  /// The direct sound with its reflections added; what rings on beyond n is cut off. [R, 2, n] -> [R, 2, n]
  torch::Tensor apply(const torch::Tensor& audio, const Rooms& rooms) const;

 private:
  int sample_rate_hz_;
  int64_t length_;        // of an impulse response, samples
  torch::Tensor noise_;   // [2, length + kReverbNoises], unit variance, the same in every run
  torch::Tensor time_s_;  // [length]
};

/// Gain [R, 1, n] of a downward compressor on `mixture` [R, 2, n]: levels are taken over 5 ms, rise at once
/// and fall exponentially with `release_s`; what exceeds the threshold, `depth_db` below the row's highest
/// level, is divided by `ratio` (in dB). Ratio 1: gain 1. @param depth_db, ratio, release_s [R]
torch::Tensor compressor_gain(const torch::Tensor& mixture, const torch::Tensor& depth_db,
                              const torch::Tensor& ratio, const torch::Tensor& release_s, int sample_rate_hz);

/// Time-varying gain [R, 2, n] that limits `mixture` [R, 2, n]: its peak over the row stands clip_db above
/// the limit. Rows with clip_db 0 get gain 1. @param clip_db, hard [R]
torch::Tensor limiter_gain(const torch::Tensor& mixture, const torch::Tensor& clip_db,
                           const torch::Tensor& hard);

/// Factor from decibels, elementwise.
torch::Tensor from_db(const torch::Tensor& db);

}  // namespace bsm
