// Both transforms against torch.stft and torch.istft, the definition that the networks were trained with.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "signals.h"

namespace bsm::test {
namespace {

// Relative to the largest value: spectra of full-scale signals reach hundreds.
constexpr float kTolerance = 1e-5f;

at::Tensor as_tensor(const AudioBuffer& audio) {
  return at::tensor(at::ArrayRef<float>(audio.samples)).reshape({audio.channels, audio.frames});
}

at::Tensor hann(const StftSpec& spec) { return at::hann_window(spec.win, at::kDouble); }

/// torch.stft in double precision, in the order of Spectrogram: [T, bins, channels, 2].
at::Tensor torch_stft(const AudioBuffer& audio, const StftSpec& spec) {
  at::Tensor signal = as_tensor(audio).to(at::kDouble);
  const int64_t shortest = spec.n_fft / 2 + 1;
  if (audio.frames < shortest) signal = at::constant_pad_nd(signal, {0, shortest - audio.frames});
  const int64_t half = spec.n_fft / 2;
  signal = at::reflection_pad1d(signal, {half, half});
  at::Tensor complex = at::stft(signal, spec.n_fft, spec.hop, spec.win, hann(spec), false, true, true);
  return at::view_as_real(complex).permute({2, 1, 0, 3}).slice(0, 0, spec.frames(audio.frames));
}

TEST(StftOracle, AnalysisEqualsTorch) {
  for (const int hop : kHops)
    for (const int64_t length : kLengths) {
      SCOPED_TRACE(label(length, hop));
      const AudioBuffer audio = noise(2, length, 1);
      FrameTransform transform(spec_with_hop(hop));
      const Spectrogram ours = stft(audio, transform);
      const at::Tensor expected = torch_stft(audio, transform.spec());
      ASSERT_EQ(ours.frames, expected.size(0));
      const at::Tensor found = at::tensor(at::ArrayRef<float>(ours.values)).reshape(expected.sizes());
      const double largest = expected.abs().max().item<double>();
      EXPECT_LE((found - expected).abs().max().item<double>(), kTolerance * largest);
    }
}

TEST(StftOracle, ShorterWindowIsCentred) {
  StftSpec spec;
  spec.n_fft = 1024;
  spec.win = 800;
  spec.hop = 200;
  const AudioBuffer audio = noise(1, 5000, 2);
  FrameTransform transform(spec);
  const Spectrogram ours = stft(audio, transform);
  const at::Tensor expected = torch_stft(audio, spec);
  const at::Tensor found = at::tensor(at::ArrayRef<float>(ours.values)).reshape(expected.sizes());
  EXPECT_LE((found - expected).abs().max().item<double>(), kTolerance * expected.abs().max().item<double>());
}

TEST(StftOracle, SynthesisOfAnySpectrogramEqualsTorch) {
  for (const int hop : kHops) {
    SCOPED_TRACE(hop);
    const StftSpec spec = spec_with_hop(hop);
    const int64_t length = 20000;
    // Not the spectrogram of any signal: overlapping frames disagree, so the weighting matters.
    Spectrogram spectrogram(2, spec.bins(), spec.frames(length));
    const AudioBuffer values = noise(1, static_cast<int64_t>(spectrogram.values.size()), 3);
    spectrogram.values = values.samples;
    FrameTransform transform(spec);
    const AudioBuffer ours = istft(spectrogram, length, transform);

    const at::Tensor reals = at::tensor(at::ArrayRef<float>(spectrogram.values))
                                 .to(at::kDouble)
                                 .reshape({spectrogram.frames, spec.bins(), 2, 2})
                                 .permute({2, 1, 0, 3})
                                 .contiguous();
    const at::Tensor expected = at::istft(at::view_as_complex(reals), spec.n_fft, spec.hop, spec.win,
                                          hann(spec), true, false, true, length);
    EXPECT_LE((as_tensor(ours) - expected).abs().max().item<double>(), kTolerance);
  }
}

}  // namespace
}  // namespace bsm::test
