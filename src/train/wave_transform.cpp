#include "train/wave_transform.h"

#include <torch/torch.h>

namespace bsm {

torch::Tensor overlap_add(const torch::Tensor& frames, int64_t hop) {
  const int64_t rows = frames.size(0);
  const int64_t count = frames.size(1);
  const int64_t width = frames.size(2);
  const int64_t parts = (width + hop - 1) / hop;  // pieces of one hop in a frame
  const torch::Tensor pieces =
      torch::constant_pad_nd(frames, {0, parts * hop - width}).view({rows, count, parts, hop});
  torch::Tensor sum = torch::zeros({rows, count + parts - 1, hop}, frames.options());
  for (int64_t part = 0; part < parts; ++part) sum.narrow(1, part, count).add_(pieces.select(2, part));
  return sum.view({rows, -1}).narrow(1, 0, (count - 1) * hop + width);
}

WaveTransform::WaveTransform(const StftSpec& spec, const torch::Device& device) : spec_(spec) {
  const int64_t before = (spec.n_fft - spec.win) / 2;
  window_ = torch::constant_pad_nd(torch::hann_window(spec.win), {before, spec.n_fft - spec.win - before})
                .to(device);
}

torch::Tensor WaveTransform::analyse(const torch::Tensor& waves) const {
  const int64_t batch = waves.size(0);
  const int64_t channels = waves.size(1);
  const int64_t half = spec_.n_fft / 2;
  const torch::Tensor padded = torch::reflection_pad1d(waves, {half, half});
  const torch::Tensor frames = padded.unfold(-1, spec_.n_fft, spec_.hop) * window_;  // [B, C, T, n_fft]
  const torch::Tensor spectra = torch::view_as_real(torch::fft_rfft(frames));        // [B, C, T, bins, 2]
  return spectra.permute({0, 2, 3, 1, 4}).reshape({batch, frames.size(2), 2 * channels * spec_.bins()});
}

torch::Tensor WaveTransform::synthesise(const torch::Tensor& frames, int channels, int64_t samples) {
  const int64_t batch = frames.size(0);
  const int64_t count = frames.size(1);
  const int64_t half = spec_.n_fft / 2;
  const torch::Tensor spectra = frames.view({batch, count, spec_.bins(), channels, 2})
                                    .permute({0, 3, 1, 2, 4})
                                    .contiguous();  // [B, C, T, bins, 2]
  const torch::Tensor windowed = torch::fft_irfft(torch::view_as_complex(spectra), spec_.n_fft) * window_;
  const torch::Tensor sum = overlap_add(windowed.view({batch * channels, count, spec_.n_fft}), spec_.hop);
  if (envelope_frames_ != count) {
    const torch::NoGradGuard no_grad;
    envelope_ = overlap_add(window_.square().expand({1, count, spec_.n_fft}), spec_.hop).clamp_min(1e-11);
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
