// Sample rate conversion: exact lengths, no delay, and the same result in blocks of any size.
#include "io/resampler.h"

#include <gtest/gtest.h>
#include <soxr.h>

#include <cmath>
#include <cstdlib>
#include <numbers>
#include <random>

#include "core/error.h"

namespace bsm {
namespace {

std::vector<float> convert(const std::vector<float>& input, int from_hz, int to_hz, int channels,
                           int64_t block) {
  Resampler resampler(from_hz, to_hz, channels);
  std::vector<float> out;
  const int64_t frames = static_cast<int64_t>(input.size()) / channels;
  for (int64_t at = 0; at < frames; at += block)
    resampler.process(input.data() + at * channels, std::min(block, frames - at), false, out);
  resampler.process(nullptr, 0, true, out);
  return out;
}

const std::pair<int, int> kRates[] = {{48000, 44100}, {44100, 48000}, {96000, 44100}, {44100, 96000},
                                      {22050, 44100}, {44100, 22050}, {8000, 44100},  {192000, 44100}};

TEST(ResampledFrames, RoundsToNearestWithoutOverflow) {
  EXPECT_EQ(resampled_frames(0, 48000, 44100), 0);
  EXPECT_EQ(resampled_frames(160, 48000, 44100), 147);
  EXPECT_EQ(resampled_frames(1, 96000, 44100), 0);
  EXPECT_EQ(resampled_frames(1, 88200, 44100), 1);  // a half goes up
  EXPECT_EQ(resampled_frames(100, 44100, 44100), 100);
  for (int64_t frames = 1; frames < 5000; ++frames)
    for (const auto& [from, to] : kRates)
      ASSERT_EQ(resampled_frames(frames, from, to), std::llround(static_cast<double>(frames) * to / from));
  const int64_t years = int64_t{1} << 50;
  EXPECT_EQ(resampled_frames(years, 22050, 44100), 2 * years);
}

TEST(Resampler, EveryLengthComesOutExactly) {
  // Short lengths densely, long ones with a step that meets all remainders of the ratios.
  const std::vector<float> input(100'000, 0.25f);
  for (const auto& [from, to] : kRates) {
    for (int64_t frames = 1; frames <= 100'000; frames += frames < 400 ? 1 : 4999) {
      const std::vector<float> part(input.begin(), input.begin() + frames);
      ASSERT_EQ(static_cast<int64_t>(convert(part, from, to, 1, 4096).size()),
                resampled_frames(frames, from, to))
          << frames << " frames from " << from << " to " << to << " Hz";
    }
  }
}

TEST(Resampler, EqualsSoxrInOnePiece) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.2f);
  std::vector<float> input(2 * 20'000);
  for (float& v : input) v = normal(random);
  for (const auto& [from, to] : kRates) {
    const size_t expected_frames = static_cast<size_t>(resampled_frames(20'000, from, to));
    std::vector<float> expected(2 * (expected_frames + 2));
    size_t done = 0;
    const soxr_io_spec_t samples = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_VHQ, 0);
    ASSERT_FALSE(soxr_oneshot(from, to, 2, input.data(), 20'000, nullptr, expected.data(),
                              expected_frames + 2, &done, &samples, &quality, nullptr));
    ASSERT_GE(done + 1, expected_frames);
    for (const int64_t block : {1, 100, 16384, 20'000}) {
      const std::vector<float> out = convert(input, from, to, 2, block);
      ASSERT_EQ(out.size(), 2 * expected_frames);
      for (size_t i = 0; i < 2 * std::min(done, expected_frames); ++i)
        ASSERT_NEAR(out[i], expected[i], 1e-6f)
            << i << " of " << from << " to " << to << " in blocks of " << block;
    }
  }
}

TEST(Resampler, KeepsASineInPlace) {
  // 1 kHz, under a window so that the ends do not matter.
  const auto tone = [](int rate_hz, int64_t frames) {
    std::vector<float> out(static_cast<size_t>(frames));
    for (int64_t i = 0; i < frames; ++i) {
      const double t = static_cast<double>(i) / rate_hz, window = std::sin(std::numbers::pi * t / 0.5);
      out[static_cast<size_t>(i)] =
          static_cast<float>(window * window * std::sin(2 * std::numbers::pi * 1000 * t));
    }
    return out;
  };
  for (const auto& [from, to] : kRates) {
    const std::vector<float> out = convert(tone(from, from / 2), from, to, 1, 1000),
                             expected = tone(to, to / 2);
    ASSERT_EQ(out.size(), expected.size());
    for (size_t i = 0; i < out.size(); ++i)
      ASSERT_NEAR(out[i], expected[i], 2e-6f) << i << ": " << from << " to " << to;
  }
}

TEST(Resampler, EqualRatesCopy) {
  const std::vector<float> input = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(convert(input, 44100, 44100, 2, 2), input);
}

TEST(Resampler, RefusesWhatCannotBeConverted) {
  EXPECT_THROW(Resampler(0, 44100, 2), Error);
  EXPECT_THROW(Resampler(44100, -1, 2), Error);
  EXPECT_THROW(Resampler(44100, 48000, 0), Error);
  Resampler ended(44100, 48000, 1);
  std::vector<float> out;
  const float sample = 1;
  ended.process(&sample, 1, true, out);
  EXPECT_THROW(ended.process(&sample, 1, false, out), Error);
  ended.process(nullptr, 0, true, out);  // a second end is no harm
  EXPECT_EQ(out.size(), 1u);
}

}  // namespace
}  // namespace bsm
