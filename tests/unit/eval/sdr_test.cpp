// Scores of signals whose scores are known in closed form.
#include "eval/sdr.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"

namespace bsm::test {
namespace {

constexpr int kRate_hz = 1000;

AudioBuffer constant(int64_t frames, float left, float right) {
  AudioBuffer audio(2, frames);
  for (int64_t i = 0; i < frames; ++i) {
    audio.channel(0)[i] = left;
    audio.channel(1)[i] = right;
  }
  return audio;
}

TEST(Sdr, UtteranceOfAScaledSignal) {
  // s = 1, e = 0.5 on both channels: 2n / (2n * 0.25) = 4.
  EXPECT_NEAR(utterance_sdr_db(constant(100, 1, 1), constant(100, 0.5f, 0.5f)), 10 * std::log10(4.0), 1e-7);
  // One channel wrong by its whole size: (1 + 1) / 1.
  EXPECT_NEAR(utterance_sdr_db(constant(100, 1, 1), constant(100, 1, 0)), 10 * std::log10(2.0), 1e-7);
}

TEST(Sdr, UtteranceOfSilenceIsFloored) {
  const AudioBuffer silence(2, 100);
  EXPECT_EQ(utterance_sdr_db(silence, silence), 0.0);
  EXPECT_EQ(utterance_sdr_db(constant(100, 1, 1), silence), 0.0);
  // 200 + 1e-7 over 1e-7
  EXPECT_NEAR(utterance_sdr_db(constant(100, 1, 1), constant(100, 1, 1)), 10 * std::log10(200 / 1e-7), 1e-6);
}

TEST(Sdr, WindowsAreWholeAndSkipSilence) {
  AudioBuffer reference = constant(4500, 1, 1);
  AudioBuffer estimate = constant(4500, 0.9f, 0.9f);
  for (int64_t i = 1000; i < 2000; ++i) reference.channel(0)[i] = reference.channel(1)[i] = 0.0f;
  // Channels that cancel count as silence too, as in BSSEval.
  for (int64_t i = 2000; i < 3000; ++i) estimate.channel(1)[i] = -estimate.channel(0)[i];
  const auto windows = window_sdr_db(reference, estimate, kRate_hz);
  ASSERT_EQ(windows.size(), 4u);  // the half window at the end does not count
  EXPECT_NEAR(windows[0].value(), 20.0, 1e-5);
  EXPECT_FALSE(windows[1].has_value());
  EXPECT_FALSE(windows[2].has_value());
  EXPECT_NEAR(windows[3].value(), 20.0, 1e-5);
  EXPECT_NEAR(chunk_sdr_db(reference, estimate, kRate_hz).value(), 20.0, 1e-5);
  EXPECT_EQ(window_sdr_db(reference, estimate, kRate_hz, 0.5).size(), 9u);
}

TEST(Sdr, ChunkIsTheMedianOfWindows) {
  AudioBuffer reference = constant(3000, 1, 1);
  AudioBuffer estimate = constant(3000, 0, 0.5f);
  for (int64_t i = 0; i < 3000; ++i) estimate.channel(0)[i] = i < 1000 ? 0.9f : i < 2000 ? 0.5f : 0.0f;
  // distortions per sample 0.26, 0.5, 1.25 of a signal of 2
  EXPECT_NEAR(chunk_sdr_db(reference, estimate, kRate_hz).value(), 10 * std::log10(4.0), 1e-6);
}

TEST(Sdr, ExactEstimateIsInfinite) {
  const AudioBuffer audio = constant(2000, 0.5f, 0.25f);
  EXPECT_EQ(chunk_sdr_db(audio, audio, kRate_hz).value(), std::numeric_limits<double>::infinity());
}

TEST(Sdr, NoWindowCounts) {
  EXPECT_FALSE(chunk_sdr_db(constant(999, 1, 1), constant(999, 1, 1), kRate_hz).has_value());
  EXPECT_FALSE(chunk_sdr_db(AudioBuffer(2, 3000), constant(3000, 1, 1), kRate_hz).has_value());
}

TEST(Sdr, LeakInSilence) {
  AudioBuffer reference = constant(1000, 1, 1);
  AudioBuffer estimate = constant(1000, 0.5f, 0.5f);
  EXPECT_FALSE(silence_leak_db(reference, estimate, kRate_hz).has_value());
  for (int64_t i = 300; i < 600; ++i) {
    reference.channel(0)[i] = reference.channel(1)[i] = 0.0009f;  // -61 dBFS is silence
    estimate.channel(0)[i] = estimate.channel(1)[i] = 0.01f;
  }
  EXPECT_NEAR(silence_leak_db(reference, estimate, kRate_hz).value(), -40.0, 1e-5);
  for (int64_t i = 300; i < 600; ++i) reference.channel(0)[i] = reference.channel(1)[i] = 0.0011f;  // is not
  EXPECT_FALSE(silence_leak_db(reference, estimate, kRate_hz).has_value());
  EXPECT_EQ(silence_leak_db(AudioBuffer(2, 1000), AudioBuffer(2, 1000), kRate_hz).value(),
            -std::numeric_limits<double>::infinity());
}

TEST(Sdr, UnequalShapesAreRefused) {
  try {
    utterance_sdr_db(AudioBuffer(2, 10), AudioBuffer(2, 11));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kSettings);
    EXPECT_NE(std::string(error.what()).find("2 channels of 11 samples"), std::string::npos) << error.what();
  }
  EXPECT_THROW(window_sdr_db(AudioBuffer(1, 10), AudioBuffer(2, 10), kRate_hz), Error);
  EXPECT_THROW(silence_leak_db(AudioBuffer(1, 10), AudioBuffer(2, 10), kRate_hz), Error);
}

TEST(Statistics, MeanAndMedian) {
  EXPECT_DOUBLE_EQ(mean({1, 2, 6}), 3.0);
  EXPECT_DOUBLE_EQ(median({9, 1, 2}), 2.0);
  EXPECT_DOUBLE_EQ(median({9, 1, 2, 4}), 3.0);
  EXPECT_DOUBLE_EQ(median({7}), 7.0);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(median({infinity, infinity}), infinity);
  EXPECT_THROW(median({}), Error);
  EXPECT_THROW(mean({}), Error);
}

}  // namespace
}  // namespace bsm::test
