#include "train/wave_transform.h"

#include <torch/torch.h>

namespace bsm {

torch::Tensor overlap_add(const torch::Tensor& frames, int64_t hop) {
  const int64_t rows = frames.size(0), count = frames.size(1), width = frames.size(2);
  const int64_t parts = (width + hop - 1) / hop;  // pieces of one hop in a frame
  const torch::Tensor sum = torch::zeros({rows, count + parts - 1, hop}, frames.options());
  add_overlapping(sum, frames);
  return sum.view({rows, -1}).narrow(1, 0, (count - 1) * hop + width);
}

WaveTransform::WaveTransform(const StftSpec& spec, const torch::Device& device) : stft_(spec, device) {}

torch::Tensor WaveTransform::analyse(const torch::Tensor& waves) const {
  const int64_t half = stft_.spec().n_fft / 2;
  return stft_.analyse(torch::reflection_pad1d(waves, {half, half}));
}

torch::Tensor WaveTransform::synthesise(const torch::Tensor& frames, int channels, int64_t samples) {
  const StftSpec& spec = stft_.spec();
  const int64_t batch = frames.size(0), count = frames.size(1), half = spec.n_fft / 2;
  const torch::Tensor sum = overlap_add(stft_.synthesise(frames, channels), spec.hop);
  if (envelope_frames_ != count) {
    const torch::NoGradGuard no_grad;
    envelope_ = overlap_add(stft_.window().square().expand({1, count, spec.n_fft}), spec.hop)
                    .clamp_min(kSmallestWindowSum);
    envelope_frames_ = count;
  }
  const int64_t length = std::min(samples, sum.size(1) - half);
  const torch::Tensor wave = sum.narrow(1, half, length) / envelope_.narrow(1, half, length);
  return torch::constant_pad_nd(wave, {0, samples - length}).view({batch, channels, samples});
}

torch::Tensor separate_waves(SeparationNetwork& network, WaveTransform& transform,
                             const torch::Tensor& mixture) {
  const torch::Tensor frames = transform.analyse(mixture);
  const torch::Tensor masks = network->forward(frames);                    // [B, S, T, F]
  const torch::Tensor estimate = apply_masks(masks, frames).select(1, 0);  // [B, T, F]
  return transform.synthesise(estimate.contiguous(), static_cast<int>(mixture.size(1)), mixture.size(2));
}

}  // namespace bsm
