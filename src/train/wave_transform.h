// The STFT of whole waveforms on a device, for batches and differentiable: between waveforms and what the
// network reads and masks. Own synthesis instead of torch.istft, which makes the processor wait for the
// device at every call.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "dsp/stft.h"
#include "nn/network.h"
#include "separate/tensor_stft.h"

namespace bsm {

/// Sums frames [N, T, W] at a distance of `hop` samples: [N, (T - 1) * hop + W]. Differentiable.
torch::Tensor overlap_add(const torch::Tensor& frames, int64_t hop);

class WaveTransform {
 public:
  WaveTransform(const StftSpec& spec, const torch::Device& device);

  /// [B, C, n] -> [B, T, F] in the order of Spectrogram. n must exceed n_fft / 2.
  torch::Tensor analyse(const torch::Tensor& waves) const;
  /// [B, T, F] -> [B, channels, samples]: overlap-add divided by the summed squared window.
  torch::Tensor synthesise(const torch::Tensor& frames, int channels, int64_t samples);

 private:
  TensorStft stft_;
  torch::Tensor envelope_;  // summed squared window for the sizes of the last synthesis
  int64_t envelope_frames_ = -1;
};

/// The network's first stem for waveforms [B, 2, n]: analysis, mask, synthesis. Differentiable.
torch::Tensor separate_waves(SeparationNetwork& network, WaveTransform& transform,
                             const torch::Tensor& mixture);

}  // namespace bsm
