// The mixture passing unseparated: on demand and for silence. Same delay, no clicks, nothing computed.
#include "harness.h"

#include <limits>

namespace bsm::test {
namespace {

class Bypass : public ElementTest {};

const std::initializer_list<Setting> kShort = {{"hop-duration", "100000000"}, {"lookahead", "100000000"}};

guint64 stat(GstElement* element, const char* field) {
  GstStructure* stats = nullptr;
  g_object_get(element, "stats", &stats, nullptr);
  const Owned<GstStructure> owned(stats);
  guint64 value = G_MAXUINT64;
  EXPECT_TRUE(gst_structure_get_uint64(stats, field, &value)) << field;
  return value;
}

float largest_step(const std::vector<float>& stereo) {
  float largest = 0.0F;
  for (size_t i = 2; i < stereo.size(); i += 2)
    largest = std::max(largest, std::abs(stereo[i] - stereo[i - 2]));
  return largest;
}

TEST_F(Bypass, FromTheStartIsTheMixtureToTheBit) {
  Stage stage({{"bypass", "true"}});
  stage.start();
  const std::vector<float> input = noise(200000);
  ASSERT_EQ(stage.push(input), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.instrumental().samples(), input);
  EXPECT_EQ(stage.vocals().samples(), std::vector<float>(input.size(), 0.0F));
  EXPECT_EQ(engine().inferences, 0);
  EXPECT_EQ(stat(stage.element(), "bypassed"), 100000U);
  expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
}

TEST_F(Bypass, HasTheSameDelay) {
  for (const char* bypass : {"false", "true"}) {
    Stage stage({{"hop-duration", "100000000"}, {"lookahead", "100000000"}, {"bypass", bypass}});
    stage.start();
    const int64_t delay = 2 * 4410 + fake::kTailSamples;
    ASSERT_EQ(stage.push_noise(delay - 1), GST_FLOW_OK);
    ASSERT_EQ(stage.push_noise(1), GST_FLOW_OK);
    ASSERT_TRUE(stage.vocals().wait_frames(4410));
    ASSERT_TRUE(stage.instrumental().wait_frames(4410));
    EXPECT_EQ(stage.vocals().frames(), 4410) << bypass;
  }
}

TEST_F(Bypass, ToggledWithoutAClick) {
  Stage stage(kShort);
  stage.start();
  const std::vector<float> ones(2 * 22050, 1.0F);
  int64_t pushed = 0;
  for (const bool bypass : {false, true, false, true, false}) {
    g_object_set(stage.element(), "bypass", static_cast<gboolean>(bypass), nullptr);
    ASSERT_EQ(stage.push(ones), GST_FLOW_OK);
    pushed += 22050;
    // All that can leave has left before the next change: a hop and the delay at most stay behind.
    ASSERT_TRUE(stage.vocals().wait_frames(pushed - 3 * 4410 - fake::kTailSamples));
  }
  ASSERT_TRUE(stage.finish());
  const std::vector<float> vocals = stage.vocals().samples(), instrumental = stage.instrumental().samples();
  ASSERT_EQ(vocals.size(), 5 * ones.size());
  EXPECT_LT(largest_step(vocals), 0.25F / 441 * 1.01F);
  EXPECT_LT(largest_step(instrumental), 0.25F / 441 * 1.01F);
  float lowest = 1.0F, highest = 0.0F;
  for (size_t i = 0; i < vocals.size(); ++i) {
    ASSERT_NEAR(vocals[i] + instrumental[i], 1.0F, 1e-6F);
    lowest = std::min(lowest, vocals[i]);
    highest = std::max(highest, vocals[i]);
  }
  EXPECT_EQ(lowest, 0.0F);
  EXPECT_EQ(highest, 0.25F);
  EXPECT_EQ(engine().finishes, 1) << "the timeline goes on";
  expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
}

TEST_F(Bypass, ComputesNothing) {
  Stage stage(kShort);
  stage.start();
  g_object_set(stage.element(), "bypass", TRUE, nullptr);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(stage.push_noise(4410), GST_FLOW_OK);
  ASSERT_TRUE(stage.vocals().wait_frames(40 * 4410));
  EXPECT_LE(engine().inferences, 1);
  ASSERT_TRUE(stage.finish());
}

TEST_F(Bypass, ValuesThatAreNotFiniteAreSilence) {
  for (const char* bypass : {"false", "true"}) {
    Stage stage({{"bypass", bypass}});
    stage.start();
    std::vector<float> input = noise(20000);
    const std::vector<float> good = input;
    input[100] = std::numeric_limits<float>::quiet_NaN();
    input[101] = std::numeric_limits<float>::infinity();
    input[5000] = -std::numeric_limits<float>::infinity();
    ASSERT_EQ(stage.push(input), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    const std::vector<float> vocals = stage.vocals().samples(), instrumental = stage.instrumental().samples();
    ASSERT_EQ(vocals.size(), input.size());
    for (size_t i = 0; i < input.size(); ++i) {
      const bool bad = i == 100 || i == 101 || i == 5000;
      ASSERT_EQ(vocals[i] + instrumental[i], bad ? 0.0F : good[i]) << i;
    }
  }
}

TEST_F(Bypass, SubnormalAndFullScaleSamplesPass) {
  Stage stage;
  stage.start();
  std::vector<float> input(20000);
  for (size_t i = 0; i < input.size(); ++i)
    input[i] = i % 3 == 0 ? std::numeric_limits<float>::denorm_min() * static_cast<float>(i % 1000)
                          : (i % 2 ? 1.0F : -1.0F);
  ASSERT_EQ(stage.push(input), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  expect_separated(input, stage.vocals().samples(), stage.instrumental().samples());
}

// Silence for an hour: inferences end after the context, the output is silence, sound afterwards is
// separated.
TEST_F(Bypass, AnHourOfSilenceNeedsNoInference) {
  Stage stage({{"context-duration", "1000000000"}, {"hop-duration", "1000000000"}, {"lookahead", "0"}});
  stage.start(1);
  const std::vector<float> sound = noise(44100);
  ASSERT_EQ(stage.push(sound), GST_FLOW_OK);
  const std::vector<float> second(44100, 0.0F);
  for (Recorder* pad : {&stage.vocals(), &stage.instrumental()}) pad->keep_samples(false);
  for (int i = 0; i < 3600; ++i) ASSERT_EQ(stage.push(second), GST_FLOW_OK);
  for (Recorder* pad : {&stage.vocals(), &stage.instrumental()}) pad->keep_samples(true);
  ASSERT_EQ(stage.push(sound), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_LE(engine().inferences, 8);
  EXPECT_GE(stat(stage.element(), "skipped"), 3590U * 44100);
  EXPECT_EQ(stat(stage.element(), "processed"), 3602U * 44100);
  EXPECT_EQ(stage.vocals().frames(), 3602 * 44100);
  const std::vector<Entry> buffers = stage.vocals().buffers();
  expect_perfect(buffers, stage.instrumental().buffers());
  std::vector<float> tail;
  for (size_t i = buffers.size() - 3; i < buffers.size(); ++i)
    tail.insert(tail.end(), buffers[i].samples.begin(), buffers[i].samples.end());
  tail.erase(tail.begin(), tail.end() - 44100);
  for (size_t i = 0; i < tail.size(); ++i) ASSERT_EQ(tail[i], 0.25F * sound[i]) << i;
}

TEST_F(Bypass, SilenceIsComputedWhenAskedFor) {
  Stage stage({{"context-duration", "1000000000"}, {"silence-skip", "false"}});
  stage.start(1);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(stage.push(std::vector<float>(44100, 0.0F)), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_GT(engine().inferences, 30);
}

}  // namespace
}  // namespace bsm::test
