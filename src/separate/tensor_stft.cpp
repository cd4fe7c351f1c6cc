#include "separate/tensor_stft.h"

#include <torch/torch.h>

#include <algorithm>

namespace bsm {

using torch::Tensor;

void add_overlapping(const Tensor& sum, const Tensor& frames) {
  const int64_t count = frames.size(1), width = frames.size(2), hop = sum.size(2);
  // Part 0 of a frame is the first to end: what later frames add to it comes before.
  for (int64_t part = (width - 1) / hop; part >= 0; --part) {
    const int64_t reals = std::min(hop, width - part * hop);
    sum.narrow(1, part, count).narrow(2, 0, reals).add_(frames.narrow(2, part * hop, reals));
  }
}

TensorStft::TensorStft(const StftSpec& spec, const torch::Device& device) : spec_(spec) {
  const FrameTransform transform(spec);
  window_ = torch::tensor(transform.window()).to(device);
}

Tensor TensorStft::analyse(const Tensor& samples) const {
  const Tensor windowed = samples.unfold(-1, spec_.n_fft, spec_.hop) * window_;  // [B, C, T, n_fft]
  const Tensor spectra = torch::view_as_real(torch::fft_rfft(windowed));         // [B, C, T, bins, 2]
  return spectra.permute({0, 2, 3, 1, 4})
      .reshape({samples.size(0), windowed.size(2), 2 * samples.size(1) * spec_.bins()});
}

Tensor TensorStft::synthesise(const Tensor& frames, int64_t channels) const {
  const int64_t batch = frames.size(0), count = frames.size(1);
  const Tensor spectra = frames.reshape({batch, count, spec_.bins(), channels, 2})
                             .permute({0, 3, 1, 2, 4})
                             .contiguous();  // [B, C, T, bins, 2]
  const Tensor windowed = torch::fft_irfft(torch::view_as_complex(spectra), spec_.n_fft) * window_;
  return windowed.view({batch * channels, count, spec_.n_fft});
}

}  // namespace bsm
