#include "train/effects.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "train/track_index.h"

namespace bsm {
namespace {

constexpr double kLevelWindow_s = 0.005;

/// The next length whose prime factors are 2, 3, 5 and 7, which transforms fastest.
int64_t smooth_length(int64_t at_least) {
  for (int64_t length = at_least;; ++length) {
    int64_t rest = length;
    for (const int64_t factor : {2, 3, 5, 7})
      while (rest % factor == 0) rest /= factor;
    if (rest == 1) return length;
  }
}

}  // namespace

torch::Tensor from_db(const torch::Tensor& db) { return torch::exp(db * (std::numbers::ln10 / 20)); }

torch::Tensor sounding_rms(const torch::Tensor& audio, int sample_rate_hz) {
  const int64_t window = std::min(sounding_window_samples(sample_rate_hz), audio.size(2));
  const int64_t windows = audio.size(2) / window;
  const torch::Tensor power = audio.narrow(2, 0, windows * window)
                                  .reshape({audio.size(0), 2, windows, window})
                                  .square()
                                  .mean({1, 3});  // [R, windows]
  const torch::Tensor sounds = (power > kSoundingRms * kSoundingRms).to(power.scalar_type());
  return ((power * sounds).sum(1) / sounds.sum(1).clamp_min(1)).sqrt();
}

Reverb::Reverb(int sample_rate_hz, const torch::Device& device)
    : sample_rate_hz_(sample_rate_hz), length_(std::llround(kLongest_s * sample_rate_hz)) {
  // Own generator: the noise is part of every run's draws, whatever the seed and version of LibTorch.
  std::mt19937_64 engine(1979);
  noise_ = torch::empty({2, length_ + kReverbNoises});
  // Uniform of unit variance; its spectrum is as white as that of Gaussian noise.
  const auto uniform = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };
  float* values = noise_.data_ptr<float>();
  for (int64_t i = 0; i < noise_.numel(); ++i)
    values[i] = static_cast<float>(std::sqrt(12.0) * (uniform() - 0.5));
  noise_ = noise_.to(device);
  time_s_ = (torch::arange(length_, torch::kFloat) / sample_rate_hz).to(device);
}

torch::Tensor Reverb::apply(const torch::Tensor& audio, const Rooms& rooms) const {
  const int64_t rows = audio.size(0);
  const int64_t samples = audio.size(2);
  const int64_t transform = smooth_length(samples + length_);
  const torch::Tensor place =
      rooms.noise.unsqueeze(1) + torch::arange(length_, rooms.noise.options());  // [R, length]
  torch::Tensor response = noise_.index_select(1, place.view(-1)).view({2, rows, length_}).transpose(0, 1);
  const torch::Tensor since_s = time_s_ - rooms.delay_s.unsqueeze(1);  // [R, length]
  const double decay = 3 * std::numbers::ln10;                         // 60 dB as amplitude
  const torch::Tensor envelope =
      torch::where(since_s >= 0, torch::exp(-decay * since_s / rooms.decay_s.unsqueeze(1)),
                   torch::zeros({1}, since_s.options()));
  const torch::Tensor energy = envelope.square().sum(1).clamp_min(1e-9);  // [R]
  const torch::Tensor scale = from_db(rooms.level_db) / energy.sqrt();
  response = response * (envelope * scale.unsqueeze(1)).unsqueeze(1);  // [R, 2, length]

  // 1 / (1 + i f / f_c): a causal first-order low-pass.
  const int64_t bins = transform / 2 + 1;
  const double bin_hz = static_cast<double>(sample_rate_hz_) / static_cast<double>(transform);
  const torch::Tensor ratio =
      torch::arange(bins, time_s_.options()) * bin_hz / rooms.damp_hz.unsqueeze(1);  // [R, bins]
  const torch::Tensor damping = torch::complex(torch::ones_like(ratio), ratio).reciprocal().unsqueeze(1);
  const torch::Tensor wet = torch::fft_irfft(
      torch::fft_rfft(audio, transform) * torch::fft_rfft(response, transform) * damping, transform);
  return audio + wet.narrow(2, 0, samples);
}

torch::Tensor compressor_gain(const torch::Tensor& mixture, const torch::Tensor& depth_db,
                              const torch::Tensor& ratio, const torch::Tensor& release_s,
                              int sample_rate_hz) {
  const int64_t samples = mixture.size(2);
  const int64_t window = std::max<int64_t>(1, std::llround(kLevelWindow_s * sample_rate_hz));
  const int64_t windows = (samples + window - 1) / window;
  const torch::Tensor padded = torch::constant_pad_nd(mixture, {0, windows * window - samples});
  const torch::Tensor power_db =
      10 *
      padded.view({-1, 2, windows, window}).square().mean({1, 3}).clamp_min(1e-10).log10();  // [R, windows]
  // level[t] = max over s <= t of power[s] - fall * (t - s): the peak detector with instant attack, as one
  // scan.
  const double per_window_db = 10 / std::numbers::ln10 * static_cast<double>(window) / sample_rate_hz;
  const torch::Tensor fallen_db =
      per_window_db / release_s.unsqueeze(1) * torch::arange(windows, power_db.options());  // [R, windows]
  const torch::Tensor level_db = std::get<0>(torch::cummax(power_db + fallen_db, 1)) - fallen_db;
  const torch::Tensor threshold_db = level_db.amax(1, /*keepdim=*/true) - depth_db.unsqueeze(1);
  const torch::Tensor gain_db =
      -(1 - ratio.reciprocal()).unsqueeze(1) * (level_db - threshold_db).clamp_min(0);  // [R, windows]
  return from_db(torch::upsample_linear1d(gain_db.unsqueeze(1), {windows * window}, /*align_corners=*/false))
      .narrow(2, 0, samples);
}

torch::Tensor limiter_gain(const torch::Tensor& mixture, const torch::Tensor& clip_db,
                           const torch::Tensor& hard) {
  const torch::Tensor peak = mixture.abs().amax({1, 2}, /*keepdim=*/true).clamp_min(1e-6);  // [R, 1, 1]
  const torch::Tensor limit = peak / from_db(clip_db).view({-1, 1, 1});
  const torch::Tensor driven = (mixture.abs() / limit).clamp_min(1e-6);
  const torch::Tensor gain =
      torch::where(hard.view({-1, 1, 1}) > 0, driven.clamp_min(1).reciprocal(), driven.tanh() / driven);
  return torch::where(clip_db.view({-1, 1, 1}) > 0, gain, torch::ones({1}, gain.options()));
}

}  // namespace bsm
