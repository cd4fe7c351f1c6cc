// Pitfall 7 and section 2.4: perfect timestamps, re-anchored on real jumps only.
#include "harness.h"

namespace bsm::test {
namespace {

class Timestamps : public ElementTest {};

constexpr int64_t kBlock = 4410;

std::vector<float> block(uint32_t seed = 1) { return noise(2 * kBlock, seed); }

TEST_F(Timestamps, ArePerfectOverManyBlocks) {
  Stage stage({{"latency", "123000000"}});
  stage.start();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(stage.push_noise(1 + (i * 37) % 1500), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  const std::vector<Entry> buffers = stage.vocals().buffers();
  expect_perfect(buffers, stage.instrumental().buffers());
  int64_t frames = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(buffers[i].pts, ns(frames));
    EXPECT_EQ((buffers[i].flags & GST_BUFFER_FLAG_DISCONT) != 0, i == 0);
    EXPECT_EQ((buffers[i].flags & GST_BUFFER_FLAG_RESYNC) != 0, i == 0);
    frames += buffers[i].frames;
  }
}

TEST_F(Timestamps, DiscontOnEveryBufferKeepsTheContext) {
  Stage stage;
  stage.start();
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(stage.push_at(block(), ns(i * kBlock), GST_BUFFER_FLAG_DISCONT), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().finishes, 1);
  EXPECT_EQ(stage.vocals().frames(), 50 * kBlock);
}

TEST_F(Timestamps, JitterIsSmoothed) {
  Stage stage;
  stage.start();
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(stage.push_at(block(), ns(i * kBlock) + (i % 3) * 10 * GST_MSECOND), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().finishes, 1);
  expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
}

TEST_F(Timestamps, JumpWithDiscontStartsATimeline) {
  for (const GstClockTime to : {3 * GST_SECOND, 100 * GST_MSECOND}) {  // forward and backward
    engine().restore();
    Stage stage;
    stage.start();
    for (int i = 0; i < 10; ++i) ASSERT_EQ(stage.push_at(block(), ns(i * kBlock)), GST_FLOW_OK);
    ASSERT_EQ(stage.push_at(block(), to, GST_BUFFER_FLAG_DISCONT), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    EXPECT_EQ(engine().finishes, 2);
    EXPECT_EQ(stage.vocals().frames(), 11 * kBlock);
    int64_t frames = 0;
    for (const Entry& e : stage.vocals().buffers()) {
      EXPECT_EQ((e.flags & GST_BUFFER_FLAG_DISCONT) != 0, frames == 0 || frames == 10 * kBlock);
      EXPECT_EQ(e.pts, frames < 10 * kBlock ? ns(frames) : to + ns(frames - 10 * kBlock));
      frames += e.frames;
    }
    expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
  }
}

// Without the flag a jump must last for a second: then the timeline follows.
TEST_F(Timestamps, JumpWithoutDiscontIsFollowedAfterASecond) {
  Stage stage;
  stage.start();
  for (int i = 0; i < 10; ++i) ASSERT_EQ(stage.push_at(block(), ns(i * kBlock)), GST_FLOW_OK);
  const GstClockTime jump = 2 * GST_SECOND;
  for (int i = 10; i < 30; ++i) ASSERT_EQ(stage.push_at(block(), ns(i * kBlock) + jump), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 30 * kBlock);
  EXPECT_EQ(engine().finishes, 2);
  const Entry last = stage.vocals().buffers().back();
  EXPECT_EQ(last.pts + last.duration, ns(30 * kBlock) + jump);
}

TEST_F(Timestamps, HowFarAndHowLongTheyMayStrayAreProperties) {
  Stage stage({{"discont-threshold", "100000000"}, {"discont-wait", "0"}});
  stage.start();
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(stage.push_at(block(), ns(i * kBlock) + (i % 2) * 90 * GST_MSECOND), GST_FLOW_OK);
  const GstClockTime jump = 2 * GST_SECOND;
  for (int i = 10; i < 12; ++i) ASSERT_EQ(stage.push_at(block(), ns(i * kBlock) + jump), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().finishes, 2) << "90 ms are tolerated, and two seconds followed at once";
  int64_t frames = 0;
  for (const Entry& e : stage.vocals().buffers()) {
    EXPECT_EQ(e.pts, ns(frames) + (frames < 10 * kBlock ? 0 : jump));
    frames += e.frames;
  }
  EXPECT_EQ(frames, 12 * kBlock);
}

struct Drift {
  double ppm;
  int hours;
};
class DriftingClock : public ElementTest, public ::testing::WithParamInterface<Drift> {};

// The output never strays further than the aligner allows, and is set right as often as 1.8 s of drift need.
TEST_P(DriftingClock, IsFollowed) {
  Stage stage({{"context-duration", "1000000000"}, {"hop-duration", "8000000000"}, {"lookahead", "0"}});
  for (Recorder* pad : {&stage.vocals(), &stage.instrumental()}) pad->keep_samples(false);
  stage.start(1);
  const int64_t second = kRateHz;
  int64_t frames = 0;
  GstClockTime last_pts = 0;
  const std::vector<float> silence(static_cast<size_t>(second), 0.0F);
  for (int i = 0; i < GetParam().hours * 3600; ++i) {
    last_pts = static_cast<GstClockTime>(static_cast<double>(ns(frames)) * (1.0 + GetParam().ppm * 1e-6));
    ASSERT_EQ(stage.push_at(silence, last_pts), GST_FLOW_OK);
    frames += second;
  }
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), frames);
  const Entry last = stage.vocals().buffers().back();
  const GstClockTimeDiff off = GST_CLOCK_DIFF(last_pts + ns(second), last.pts + last.duration);
  EXPECT_LT(std::abs(off), static_cast<GstClockTimeDiff>(55 * GST_MSECOND));
  int discontinuities = -1;  // the first buffer's
  for (const Entry& e : stage.vocals().buffers())
    discontinuities += (e.flags & GST_BUFFER_FLAG_DISCONT) ? 1 : 0;
  EXPECT_GE(discontinuities, 40);
  EXPECT_LE(discontinuities, 46);
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
INSTANTIATE_TEST_SUITE_P(OneHour, DriftingClock, ::testing::Values(Drift{500.0, 1}, Drift{-500.0, 1}));
#else
INSTANTIATE_TEST_SUITE_P(TenHours, DriftingClock, ::testing::Values(Drift{50.0, 10}));
INSTANTIATE_TEST_SUITE_P(OneHour, DriftingClock, ::testing::Values(Drift{-500.0, 1}));
#endif

TEST_F(Timestamps, BuffersAreClippedToTheSegment) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.send_segment(ns(1000), 1.0, ns(3000)));
  std::vector<float> input = noise(2 * 4000);
  ASSERT_EQ(stage.push_at(input, 0), GST_FLOW_OK);
  ASSERT_EQ(stage.push_at(block(), ns(4000)), GST_FLOW_OK);  // wholly outside
  ASSERT_TRUE(stage.finish());
  EXPECT_NEAR(static_cast<double>(stage.vocals().frames()), 2000.0, 1.0);
  EXPECT_NEAR(static_cast<double>(stage.vocals().buffers().front().pts), static_cast<double>(ns(1000)),
              30000.0);
}

TEST_F(Timestamps, BuffersWithoutTimestampContinue) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.send_segment(7 * GST_SECOND));
  for (int i = 0; i < 5; ++i) ASSERT_EQ(stage.push_at(block(), GST_CLOCK_TIME_NONE), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().finishes, 1);
  EXPECT_EQ(stage.vocals().buffers().front().pts, 7 * GST_SECOND);
  EXPECT_EQ(stage.vocals().frames(), 5 * kBlock);
}

TEST_F(Timestamps, OffsetsCountSamplesWhenTheInputHasThem) {
  for (const bool with : {true, false}) {
    Stage stage;
    stage.start();
    GstBuffer* buffer = make_buffer(block(), 2, 0);
    if (with) {
      GST_BUFFER_OFFSET(buffer) = 5000;
      GST_BUFFER_OFFSET_END(buffer) = 5000 + kBlock;
    }
    ASSERT_EQ(gst_harness_push(stage.harness(), buffer), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    int64_t frames = 0;
    for (const Entry& e : stage.vocals().buffers()) {
      EXPECT_EQ(e.offset, with ? 5000 + static_cast<guint64>(frames) : GST_BUFFER_OFFSET_NONE);
      frames += e.frames;
    }
  }
}

GstBuffer* add_clock(GstBuffer* buffer, const char* clock, GstClockTime time) {
  const Owned<GstCaps> caps(gst_caps_new_empty_simple(clock));
  gst_buffer_add_reference_timestamp_meta(buffer, caps.get(), time, 5);
  return buffer;
}

constexpr GstClockTime kClockBegin = 1000 * GST_SECOND;

/// The time of the clock at the first sample of an output buffer, 1 ns for each of two roundings.
void expect_clock(const Entry& buffer, GstClockTime pts_at_begin) {
  ASSERT_EQ(buffer.references.size(), 1U);
  EXPECT_EQ(buffer.references[0].first, "timestamp/x-ntp");
  EXPECT_NEAR(static_cast<double>(buffer.references[0].second - kClockBegin),
              static_cast<double>(buffer.pts - pts_at_begin), 2.0);
}

TEST_F(Timestamps, ReferencesOfAClockLeaveWithTheirSample) {
  Stage stage({{"latency", "123000000"}});
  stage.start();
  constexpr int64_t kFrames = 1000;
  for (int64_t i = 0; i < 100; ++i) {
    GstBuffer* buffer = make_buffer(noise(2 * kFrames), 2, ns(i * kFrames));
    // Two of seven, so that some output buffers get none and some two of them.
    if (i % 7 < 2) add_clock(buffer, "timestamp/x-ntp", kClockBegin + ns(i * kFrames));
    ASSERT_EQ(gst_harness_push(stage.harness(), buffer), GST_FLOW_OK);
  }
  ASSERT_TRUE(stage.finish());
  for (const Recorder* pad : {&stage.vocals(), &stage.instrumental()}) {
    int64_t begin = 0;
    int with = 0, without = 0;
    for (const Entry& buffer : pad->buffers()) {
      const int64_t end = begin + buffer.frames;
      bool expected = false;
      for (int64_t i = 0; i < 100; ++i)
        expected = expected || (i % 7 < 2 && i * kFrames >= begin && i * kFrames < end);
      SCOPED_TRACE(begin);
      if (expected)
        expect_clock(buffer, 0);
      else
        EXPECT_TRUE(buffer.references.empty());
      ++(expected ? with : without);
      begin = end;
    }
    EXPECT_GT(with, 5);
    EXPECT_GT(without, 5);
  }
}

TEST_F(Timestamps, ReferencesOfClippedSamplesMoveToTheFirstThatIsLeft) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.send_segment(ns(441)));
  ASSERT_EQ(gst_harness_push(stage.harness(),
                             add_clock(make_buffer(block(), 2, 0), "timestamp/x-ntp", kClockBegin)),
            GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  const Entry first = stage.vocals().buffers().front();
  EXPECT_GT(first.pts, 0U);
  expect_clock(first, 0);
}

TEST_F(Timestamps, ReferencesEndWithTheirTimeline) {
  Stage stage;
  stage.start();
  ASSERT_EQ(gst_harness_push(stage.harness(),
                             add_clock(make_buffer(block(), 2, 0), "timestamp/x-ntp", kClockBegin)),
            GST_FLOW_OK);
  ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
  ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
  ASSERT_TRUE(stage.send_segment(0));
  ASSERT_EQ(stage.push_at(block(), 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  ASSERT_FALSE(stage.vocals().buffers().empty());
  for (const Entry& buffer : stage.vocals().buffers()) EXPECT_TRUE(buffer.references.empty());
}

TEST_F(Timestamps, RateIsLeftToTheSink) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.send_segment(0, 2.0));
  const std::vector<float> input = block();
  ASSERT_EQ(stage.push_at(input, 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  expect_separated(input, stage.vocals().samples(), stage.instrumental().samples());
}

}  // namespace
}  // namespace bsm::test
