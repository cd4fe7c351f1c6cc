// The STFT of dsp/stft.h in LibTorch operators: on any device, for batches, differentiable. What lies around
// it (mirrored ends, the part of a signal that is known so far, the division by the summed squared window) is
// left to the caller.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "dsp/stft.h"

namespace bsm {

/// Adds frames [N, T, W] at a distance of one hop to sum [N, T + P - 1, hop], P = ceil(W / hop): to each
/// sample the earlier frame first, as IstftStream does. Differentiable.
void add_overlapping(const torch::Tensor& sum, const torch::Tensor& frames);

class TensorStft {
 public:
  /// Throws Error(kSettings) for sizes that FrameTransform refuses.
  TensorStft(const StftSpec& spec, const torch::Device& device);

  const StftSpec& spec() const { return spec_; }
  /// [n_fft], zeros outside win.
  const torch::Tensor& window() const { return window_; }

  /// Samples [B, C, n] -> the T = (n - n_fft) / hop + 1 frames that lie within, [B, T, F] in the order of
  /// Spectrogram.
  torch::Tensor analyse(const torch::Tensor& samples) const;
  /// Frames [B, T, F] -> windowed samples [B * channels, T, n_fft], to be overlapped and added.
  torch::Tensor synthesise(const torch::Tensor& frames, int64_t channels) const;

 private:
  StftSpec spec_;
  torch::Tensor window_;
};

}  // namespace bsm
