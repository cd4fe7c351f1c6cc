#include "eval/balance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace bsm {
namespace {

constexpr int kRate_hz = 44100;

/// Two seconds of noise; `level` in the first, `later` in the second.
AudioBuffer noise(float level, float later, unsigned seed) {
  AudioBuffer audio(2, 2 * kRate_hz);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int c = 0; c < 2; ++c)
    for (int64_t i = 0; i < audio.frames; ++i)
      audio.channel(c)[i] = (i < kRate_hz ? level : later) * uniform(random);
  return audio;
}

double rms_of_first_second(const AudioBuffer& audio) {
  double energy = 0;
  for (int c = 0; c < 2; ++c)
    for (int64_t i = 0; i < kRate_hz; ++i) energy += std::pow(static_cast<double>(audio.channel(c)[i]), 2);
  return std::sqrt(energy / (2 * kRate_hz));
}

TEST(Balance, CountsWhereTheVoiceSounds) {
  AudioBuffer voice = noise(0.5f, 1e-4f, 1);      // silent in the second half,
  const AudioBuffer band = noise(0.1f, 0.9f, 2);  // in which the band is loud
  ASSERT_TRUE(set_balance(voice, band, kRate_hz, -6));
  EXPECT_NEAR(20 * std::log10(rms_of_first_second(voice) / rms_of_first_second(band)), -6, 1e-3);
}

TEST(Balance, NeedsBothToSound) {
  AudioBuffer silent = noise(0, 0, 1), voice = noise(0.5f, 0, 1);
  const AudioBuffer band = noise(0.1f, 0.1f, 2), late_band = noise(0, 0.1f, 2), before = voice;
  EXPECT_FALSE(set_balance(silent, band, kRate_hz, 0));
  EXPECT_FALSE(set_balance(voice, late_band, kRate_hz, 0));
  EXPECT_EQ(voice.samples, before.samples);
}

}  // namespace
}  // namespace bsm
