#include "train/loss.h"

#include <torch/torch.h>

#include <algorithm>

#include "train/wave_transform.h"

namespace bsm {
namespace {

/// Adds the window's mean modulus to `loss` and its gradient to `gradient`, for difference signals [R, n].
void add_spectral_term(const torch::Tensor& difference, int window, torch::Tensor& loss,
                       torch::Tensor& gradient) {
  const int64_t n_fft = std::max(window, kLossSmallestFft);
  const int64_t half = n_fft / 2;
  const int64_t offset = (n_fft - window) / 2;
  const torch::Tensor hann = torch::hann_window(window, difference.options());
  const torch::Tensor padded = torch::reflection_pad1d(difference.unsqueeze(1), {half, half}).squeeze(1);
  const int64_t frames = (padded.size(1) - n_fft) / kLossHop + 1;
  // A window shorter than n_fft stands in the middle of zeros; leaving the zeros before it away turns phases
  // and keeps moduli, and rfft appends those after it.
  const torch::Tensor used = padded.narrow(1, offset, (frames - 1) * kLossHop + window);
  const torch::Tensor spectrum =
      torch::fft_rfft(used.unfold(1, window, kLossHop) * hann, n_fft);  // [R, T, bins]
  const torch::Tensor modulus = spectrum.abs();
  loss.add_(modulus.mean());

  // d mean|X| / dX = X / |X| / count; the adjoint of rfft counts inner bins once, irfft twice.
  torch::Tensor phasor =
      spectrum.div_(modulus.clamp_min_(1e-12)).mul_(0.5 / static_cast<double>(modulus.numel()));
  phasor.select(2, 0).mul_(2);
  phasor.select(2, half).mul_(2);
  const torch::Tensor frame_gradient =
      torch::fft_irfft(phasor, n_fft, -1, "forward").narrow(2, 0, window) * hann;  // [R, T, window]
  torch::Tensor padded_gradient = torch::zeros_like(padded);
  padded_gradient.narrow(1, offset, used.size(1)).copy_(overlap_add(frame_gradient, kLossHop));
  // Adjoint of the reflection.
  gradient.add_(
      at::reflection_pad1d_backward(padded_gradient.unsqueeze(1), difference.unsqueeze(1), {half, half})
          .squeeze(1));
}

class SeparationLoss : public torch::autograd::Function<SeparationLoss> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& estimate,
                               const torch::Tensor& target) {
    const int64_t samples = estimate.size(-1);
    const torch::Tensor difference = (estimate - target).reshape({-1, samples});  // [B*C, n]
    torch::Tensor loss = difference.abs().mean() * kLossWaveWeight;
    torch::Tensor gradient = difference.sign() * (kLossWaveWeight / static_cast<double>(difference.numel()));
    for (const int window : kLossWindows) add_spectral_term(difference, window, loss, gradient);
    context->save_for_backward({gradient.view(estimate.sizes())});
    return loss;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list outputs) {
    return {context->get_saved_variables()[0] * outputs[0], torch::Tensor()};
  }
};

}  // namespace

torch::Tensor separation_loss(const torch::Tensor& estimate, const torch::Tensor& target) {
  return SeparationLoss::apply(estimate, target);
}

torch::Tensor separation_loss_plain(const torch::Tensor& estimate, const torch::Tensor& target) {
  const torch::Tensor difference = (estimate - target).reshape({-1, estimate.size(-1)});
  torch::Tensor loss = difference.abs().mean() * kLossWaveWeight;
  for (const int window : kLossWindows) {
    const torch::Tensor hann = torch::hann_window(window, difference.options().requires_grad(false));
    loss = loss + torch::stft(difference, std::max(window, kLossSmallestFft), kLossHop, window, hann,
                              /*center=*/true, "reflect", /*normalized=*/false, /*onesided=*/true,
                              /*return_complex=*/true)
                      .abs()
                      .mean();
  }
  return loss;
}

}  // namespace bsm
