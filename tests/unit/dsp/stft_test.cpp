// The whole-signal transforms against closed forms.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <thread>

#include "core/error.h"
#include "signals.h"

namespace bsm::test {
namespace {

TEST(Stft, ImpulseHasAFlatSpectrumAndLinearPhase) {
  FrameTransform transform{StftSpec()};
  const int64_t at = 4410 + 3;  // 3 samples after the centre of frame 10
  AudioBuffer audio(1, 8820);
  audio.channel(0)[at] = 1.0f;
  const Spectrogram spectrogram = stft(audio, transform);
  const int position = 1024 + 3;  // within frame 10
  const double weight = 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * position / 2048);
  for (int f = 0; f < spectrogram.bins; ++f) {
    const double phase = -2.0 * std::numbers::pi * f * position / 2048;
    EXPECT_NEAR(spectrogram.frame(10)[2 * f], weight * std::cos(phase), 2e-6);
    EXPECT_NEAR(spectrogram.frame(10)[2 * f + 1], weight * std::sin(phase), 2e-6);
  }
}

TEST(Stft, SineOnABinFillsThreeBinsOfTheHannWindow) {
  FrameTransform transform{StftSpec()};
  const int bin = 100;
  AudioBuffer audio(1, 20000);
  for (int64_t s = 0; s < audio.frames; ++s)
    audio.channel(0)[s] = static_cast<float>(std::cos(2.0 * std::numbers::pi * bin * s / 2048));
  const Spectrogram spectrogram = stft(audio, transform);
  for (int f = 0; f < spectrogram.bins; ++f) {
    const float* value = spectrogram.frame(20) + 2 * f;
    const double expected = f == bin ? 512.0 : std::abs(f - bin) == 1 ? 256.0 : 0.0;
    EXPECT_NEAR(std::hypot(value[0], value[1]), expected, 2e-3) << "bin " << f;
  }
}

TEST(Stft, ChannelsAndBinsInterleave) {
  FrameTransform transform{StftSpec()};
  const AudioBuffer stereo = noise(2, 3000, 4);
  AudioBuffer right(1, 3000);
  std::copy_n(stereo.channel(1), 3000, right.channel(0));
  const Spectrogram both = stft(stereo, transform);
  const Spectrogram alone = stft(right, transform);
  ASSERT_EQ(both.frame_size(), 4100);
  for (int f = 0; f < both.bins; ++f) {
    EXPECT_EQ(both.frame(3)[4 * f + 2], alone.frame(3)[2 * f]);
    EXPECT_EQ(both.frame(3)[4 * f + 3], alone.frame(3)[2 * f + 1]);
  }
}

TEST(Stft, RoundTripReturnsTheSignal) {
  for (const int hop : kHops)
    for (const int64_t length : kLengths) {
      SCOPED_TRACE(label(length, hop));
      FrameTransform transform(spec_with_hop(hop));
      const AudioBuffer audio = noise(2, length, 5);
      const AudioBuffer back = istft(stft(audio, transform), length, transform);
      ASSERT_EQ(back.frames, length);
      for (size_t i = 0; i < audio.samples.size(); ++i)
        ASSERT_NEAR(back.samples[i], audio.samples[i], 1e-5) << "value " << i;
    }
}

TEST(Stft, SizesThatCannotWorkAreRefused) {
  const auto code_of = [](StftSpec spec) {
    try {
      FrameTransform transform(spec);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kFailed;
  };
  StftSpec odd;
  odd.n_fft = 2047;
  odd.win = 2047;
  EXPECT_EQ(code_of(odd), ErrorCode::kSettings);
  StftSpec wide;
  wide.win = 4096;
  EXPECT_EQ(code_of(wide), ErrorCode::kSettings);
  EXPECT_EQ(code_of(spec_with_hop(0)), ErrorCode::kSettings);
  EXPECT_EQ(code_of(spec_with_hop(1025)), ErrorCode::kSettings);
  EXPECT_NO_THROW(FrameTransform(spec_with_hop(1024)));
}

TEST(Stft, ThreadsMakeAndUseTransformsAtOnce) {
  const AudioBuffer audio = noise(1, 10000, 6);
  StftSpec spec;
  spec.n_fft = spec.win = 1536;  // a size that no other test plans
  std::vector<Spectrogram> results(8);
  std::vector<std::thread> threads;
  for (Spectrogram& result : results)
    threads.emplace_back([&] {
      FrameTransform transform(spec);
      result = stft(audio, transform);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Spectrogram& result : results) EXPECT_EQ(result.values, results[0].values);
}

}  // namespace
}  // namespace bsm::test
