// The training loss (shared network.md; arXiv 2508.14556 section 3): 10 * L1 of the waveforms + over the
// windows 4096, 2048, 1024, 512, 256 the mean modulus of the difference of the complex STFTs.
//
// The STFT is linear, so it is taken of the difference signal alone, and the gradient has a closed form: the
// adjoint transform of the unit phasors. Loss and gradient are computed together, one window after the other,
// so that memory holds one spectrogram at a time and nothing is kept for the backward pass but a waveform.
#pragma once

#include <torch/types.h>

#include <array>

namespace bsm {

inline constexpr std::array<int, 5> kLossWindows{4096, 2048, 1024, 512, 256};
inline constexpr int kLossSmallestFft = 2048;  ///< n_fft = max(window, this)
inline constexpr int kLossHop = 147;
inline constexpr double kLossWaveWeight = 10;

/// Scalar; differentiable with respect to `estimate`. @param estimate, target [B, C, n], n > 2048
/// The instrumental's error is the same signal (mixture = vocals + instrumental), so one stem says all.
torch::Tensor separation_loss(const torch::Tensor& estimate, const torch::Tensor& target);

/// The same in plain differentiable operators (torch.stft), as the reference.
torch::Tensor separation_loss_plain(const torch::Tensor& estimate, const torch::Tensor& target);

}  // namespace bsm
