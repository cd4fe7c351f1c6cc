#include "train/source_activity.h"

#include <gtest/gtest.h>

#include <random>

#include "synthetic.h"

namespace bsm {
namespace {

using namespace test;

constexpr int64_t kSegment = 8000;  // sub-windows of 800 samples, a step of 4000

/// Noise of the given level in each 800 samples; a right channel of its own where given.
DecodedTrack track(const std::vector<double>& levels, const std::vector<double>& right = {}) {
  AudioBuffer audio(2, static_cast<int64_t>(levels.size()) * 800 + 123);  // the rest is no whole sub-window
  std::mt19937 random(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (size_t i = 0; i < levels.size() * 800; ++i) {
    audio.channel(0)[i] = static_cast<float>(levels[i / 800] * uniform(random));
    audio.channel(1)[i] = static_cast<float>((right.empty() ? levels : right)[i / 800] * uniform(random));
  }
  return to_track(audio, StemRole::kVocals);
}

std::vector<double> cells(int loud, int silent) {
  std::vector<double> levels(static_cast<size_t>(loud), 0.1);
  levels.resize(static_cast<size_t>(loud + silent), 0.0);
  return levels;
}

TEST(SourceActivity, MoreThanHalfOfTheSubWindowsSound) {
  EXPECT_EQ(active_segments(track(cells(10, 0)), kSegment), std::vector<int64_t>{0});
  EXPECT_EQ(active_segments(track(cells(6, 4)), kSegment), std::vector<int64_t>{0});
  EXPECT_TRUE(active_segments(track(cells(5, 5)), kSegment).empty());
  EXPECT_TRUE(active_segments(track(std::vector<double>(10, 1e-3)), kSegment).empty())
      << "an RMS of 0.6e-3 is silence";
}

TEST(SourceActivity, InBothChannels) {
  EXPECT_TRUE(active_segments(track(cells(10, 0), cells(5, 5)), kSegment).empty());
}

TEST(SourceActivity, SegmentsOverlapByHalf) {
  std::vector<double> levels = cells(12, 8);  // sounds for 12, rests for 8, sounds for 10 sub-windows
  levels.resize(30, 0.1);
  EXPECT_EQ(active_segments(track(levels), kSegment), (std::vector<int64_t>{0, 4000, 16000}));
}

TEST(SourceActivity, FaintPartsOfALoudSegmentCountByTheQuantile) {
  // The quantile lies between the second and the third faintest: 8 of 10 exceed it, however loud the rest is.
  EXPECT_EQ(
      active_segments(track({0.01, 0.01, 0.02, 0.02, 0.02, 0.02, 0.02, 0.9, 0.9, 0.9}), kSegment).size(), 1u);
}

TEST(SourceActivity, ShortTracksHaveNone) {
  EXPECT_TRUE(active_segments(track(cells(9, 0)), kSegment).empty());
  EXPECT_TRUE(active_segments(track({}), kSegment).empty());
}

}  // namespace
}  // namespace bsm
