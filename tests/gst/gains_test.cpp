// Gains and the guide: exact where neutral, without clicks where they change, controlled at the output's
// stream time.
#include <gst/controller/gstdirectcontrolbinding.h>
#include <gst/controller/gstinterpolationcontrolsource.h>

#include "harness.h"

namespace bsm::test {
namespace {

class GainsTest : public ElementTest {};

/// The largest step between neighbouring frames of one channel.
float largest_step(const std::vector<float>& stereo) {
  float largest = 0.0F;
  for (size_t i = 2; i < stereo.size(); i += 2)
    largest = std::max(largest, std::abs(stereo[i] - stereo[i - 2]));
  return largest;
}

TEST_F(GainsTest, NeutralIsExact) {
  Stage stage(
      {{"latency", "200000000"}, {"vocals-gain", "1"}, {"instrumental-gain", "1"}, {"guide-level", "0"}});
  stage.start();
  const std::vector<float> input = noise(100000);
  ASSERT_EQ(stage.push(input), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  expect_separated(input, stage.vocals().samples(), stage.instrumental().samples());
}

TEST_F(GainsTest, ApplyToTheirPads) {
  Stage stage({{"vocals-gain", "2"}, {"instrumental-gain", "0.5"}, {"guide-level", "0.25"}});
  stage.start();
  ASSERT_EQ(stage.push(std::vector<float>(60000, 1.0F)), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  for (const float x : stage.vocals().samples()) ASSERT_EQ(x, 0.5F);
  for (const float x : stage.instrumental().samples()) ASSERT_EQ(x, 0.5F * (0.75F + 0.25F * 0.25F));
}

TEST_F(GainsTest, GuideOfOneIsTheMixture) {
  Stage stage({{"guide-level", "1"}});
  stage.start();
  const std::vector<float> input = noise(60000);
  ASSERT_EQ(stage.push(input), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  const std::vector<float> output = stage.instrumental().samples();
  ASSERT_EQ(output.size(), input.size());
  for (size_t i = 0; i < input.size(); ++i) ASSERT_NEAR(output[i], input[i], 1e-7F);
}

TEST_F(GainsTest, ChangeWithoutAClick) {
  Stage stage({{"hop-duration", "100000000"}, {"lookahead", "0"}});
  stage.start();
  const std::vector<float> ones(2 * 22050, 1.0F);
  ASSERT_EQ(stage.push(ones), GST_FLOW_OK);
  ASSERT_TRUE(stage.vocals().wait_frames(4410));
  g_object_set(stage.element(), "vocals-gain", 0.0, "instrumental-gain", 0.0, nullptr);
  ASSERT_EQ(stage.push(ones), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().samples().front(), 0.25F);
  EXPECT_EQ(stage.vocals().samples().back(), 0.0F);
  EXPECT_EQ(stage.instrumental().samples().back(), 0.0F);
  EXPECT_LT(largest_step(stage.vocals().samples()), 0.25F / 441 * 1.01F);
  EXPECT_LT(largest_step(stage.instrumental().samples()), 0.75F / 441 * 1.01F);
}

TEST_F(GainsTest, FollowAControllerAtStreamTime) {
  Stage stage({{"latency", "700000000"}});
  GstControlSource* curve = gst_interpolation_control_source_new();
  g_object_set(curve, "mode", GST_INTERPOLATION_MODE_LINEAR, nullptr);
  auto* points = GST_TIMED_VALUE_CONTROL_SOURCE(curve);
  // From stream time 1 s to 2 s, from 0 to the whole range (vocals-gain reaches to 10).
  gst_timed_value_control_source_set(points, 0, 0.0);
  gst_timed_value_control_source_set(points, GST_SECOND, 0.0);
  gst_timed_value_control_source_set(points, 2 * GST_SECOND, 1.0);
  gst_object_add_control_binding(
      GST_OBJECT(stage.element()),
      gst_direct_control_binding_new(GST_OBJECT(stage.element()), "vocals-gain", curve));
  gst_object_unref(curve);
  stage.start(1);
  // Timestamps begin at 100 s, which is stream time 0.
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = segment.position = 100 * GST_SECOND;
  ASSERT_TRUE(stage.send(gst_event_new_segment(&segment)));
  ASSERT_EQ(stage.push_at(std::vector<float>(3 * 44100, 1.0F), 100 * GST_SECOND), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  const std::vector<float> output = stage.vocals().samples();
  ASSERT_EQ(output.size(), 3U * 44100);
  for (size_t i = 0; i < output.size(); i += 100) {
    const double s = static_cast<double>(i) / 44100.0;
    const double gain = 10.0 * std::clamp(s - 1.0, 0.0, 1.0);
    ASSERT_NEAR(output[i], 0.25 * gain, 0.001) << s << " s";
  }
}

}  // namespace
}  // namespace bsm::test
