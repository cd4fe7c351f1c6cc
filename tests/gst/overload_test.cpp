// An engine that is too slow for a live stream; and the messages that tell.
#include "harness.h"

namespace bsm::test {
namespace {

class Overload : public ElementTest {
 protected:
  /// A second of ones, faster than the engine could take them.
  static void play(Stage* stage) {
    engine().inference_ms = 15;  // for 10 ms of audio
    stage->start(1);
    for (int i = 0; i < 100; ++i) ASSERT_EQ(stage->push(std::vector<float>(441, 1.0F)), GST_FLOW_OK);
    ASSERT_TRUE(stage->finish());
  }
  static guint64 stat(Stage* stage, const char* field) {
    GstStructure* stats = nullptr;
    g_object_get(stage->element(), "stats", &stats, nullptr);
    const Owned<GstStructure> owned(stats);
    guint64 value = G_MAXUINT64;
    EXPECT_TRUE(gst_structure_get_uint64(stats, field, &value)) << field;
    return value;
  }
  static bool said_to_be_live(Stage* stage) {
    GstStructure* stats = nullptr;
    g_object_get(stage->element(), "stats", &stats, nullptr);
    const Owned<GstStructure> owned(stats);
    gboolean live = FALSE;
    EXPECT_TRUE(gst_structure_get_boolean(stats, "live", &live));
    return live;
  }
};

struct Policy {
  const char *mode, *policy;
  bool bypasses, drops;
};
class OverloadPolicies : public Overload, public ::testing::WithParamInterface<Policy> {};

TEST_P(OverloadPolicies, DoWhatTheyAreCalled) {
  const Policy& expected = GetParam();
  Stage stage({{"mode", expected.mode},
               {"overload-policy", expected.policy},
               {"hop-duration", "10000000"},
               {"lookahead", "10000000"},
               {"processing-latency", "20000000"}});
  play(&stage);
  EXPECT_EQ(stat(&stage, "bypassed") > 0, expected.bypasses);
  EXPECT_EQ(stat(&stage, "dropped") > 0, expected.drops);
  EXPECT_EQ(stat(&stage, "processed") + stat(&stage, "dropped"), 100U * 441);
  EXPECT_EQ(stage.vocals().frames(), static_cast<int64_t>(stat(&stage, "processed")));
  EXPECT_EQ(stage.vocals().count(GST_EVENT_GAP) > 0, expected.drops);
  // GAP events and buffers follow one another without a hole.
  GstClockTime next = 0;
  for (const Entry& e : stage.instrumental().entries()) {
    if (!e.is_buffer() && e.type != GST_EVENT_GAP) continue;
    EXPECT_EQ(e.pts, next);
    next = e.pts + e.duration;
  }
  EXPECT_EQ(next, ns(100 * 441));
  if (!expected.drops) expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
  // Whatever the share of the voice at a sample, voice and band are the mixture.
  const std::vector<float> vocals = stage.vocals().samples(), instrumental = stage.instrumental().samples();
  ASSERT_EQ(vocals.size(), instrumental.size());
  for (size_t i = 0; i < vocals.size(); ++i) ASSERT_NEAR(vocals[i] + instrumental[i], 1.0F, 1e-6F);
  for (size_t i = 1; i < vocals.size() && !expected.drops; ++i)
    ASSERT_LT(std::abs(vocals[i] - vocals[i - 1]), 0.25F / 441 * 1.01F);

  // Out of a gap the separated signal starts at once.
  bool after_gap = false;
  for (const Entry& e : stage.vocals().entries()) {
    if (e.is_buffer() && after_gap) {
      EXPECT_EQ(e.samples.front(), fake::kVoiceShare);
    }
    after_gap = e.type == GST_EVENT_GAP || (after_gap && !e.is_buffer());
  }

  const bool overloaded = expected.bypasses || expected.drops;
  EXPECT_EQ(said_to_be_live(&stage), std::string("live") == expected.mode);
  int qos = 0;
  guint64 processed = 0, dropped = 0, told_ns = 0;
  while (const auto message = stage.message(GST_MESSAGE_QOS, std::chrono::milliseconds(0))) {
    GstFormat format;
    guint64 p = 0, d = 0;
    gst_message_parse_qos_stats(message.get(), &format, &p, &d);
    EXPECT_EQ(format, GST_FORMAT_DEFAULT);
    EXPECT_GE(p, processed);
    EXPECT_GE(d, dropped);
    processed = p;
    dropped = d;
    gboolean live = FALSE;
    guint64 running_time = 0, stream_time = 0, timestamp = 0, duration = 0;
    gst_message_parse_qos(message.get(), &live, &running_time, &stream_time, &timestamp, &duration);
    EXPECT_TRUE(live);
    EXPECT_LT(timestamp, 2 * GST_SECOND);
    EXPECT_EQ(running_time, timestamp);
    EXPECT_EQ(stream_time, timestamp);
    told_ns += duration;
    ++qos;
  }
  EXPECT_EQ(qos > 0, overloaded);
  const guint64 passed = stat(&stage, "bypassed") + stat(&stage, "dropped");
  EXPECT_EQ(dropped, passed);
  EXPECT_LE(processed, stat(&stage, "processed") - stat(&stage, "bypassed"));
  EXPECT_NEAR(static_cast<double>(told_ns), static_cast<double>(ns(static_cast<int64_t>(passed))), 1000.0);
}

INSTANTIATE_TEST_SUITE_P(
    All, OverloadPolicies,
    ::testing::Values(Policy{"live", "auto", true, false}, Policy{"live", "bypass", true, false},
                      Policy{"live", "drop", false, true}, Policy{"live", "block", false, false},
                      Policy{"auto", "auto", false, false}, Policy{"offline", "bypass", false, false}),
    [](const auto& info) { return std::string(info.param.mode) + "_" + info.param.policy; });

// Once it has caught up, what passes on demand is no overload.
TEST_F(Overload, BypassOnDemandIsNotReported) {
  Stage stage(
      {{"mode", "live"}, {"hop-duration", "10000000"}, {"lookahead", "0"}, {"processing-latency", "0"}});
  engine().inference_ms = 15;
  const Owned<GstBus> bus(gst_element_get_bus(stage.element()));
  const auto bypass_at_once = +[](GstBus*, GstMessage* message, gpointer element) {
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_QOS) g_object_set(element, "bypass", TRUE, nullptr);
    return GST_BUS_PASS;
  };
  gst_bus_set_sync_handler(bus.get(), bypass_at_once, stage.element(), nullptr);
  stage.start(1);
  while (stat(&stage, "bypassed") == 0) ASSERT_EQ(stage.push(std::vector<float>(441, 1.0F)), GST_FLOW_OK);
  const auto push_slowly = [&] {
    ASSERT_TRUE(eventually([&] { return stat(&stage, "queued") == 0; }));
    ASSERT_EQ(stage.push(std::vector<float>(441, 1.0F)), GST_FLOW_OK);
  };
  for (int i = 0; i < 5; ++i) push_slowly();
  ASSERT_TRUE(eventually([&] { return stat(&stage, "queued") == 0; }));
  while (stage.message(GST_MESSAGE_QOS, std::chrono::milliseconds(0))) continue;
  for (int i = 0; i < 20; ++i) push_slowly();
  ASSERT_TRUE(stage.finish());
  gst_bus_set_sync_handler(bus.get(), nullptr, nullptr, nullptr);
  EXPECT_FALSE(stage.message(GST_MESSAGE_QOS, std::chrono::milliseconds(0)));
}

// Fails when each hop warns: a second of overload are one WARNING.
TEST_F(Overload, WarningsAreRare) {
  Stage stage(
      {{"mode", "live"}, {"hop-duration", "10000000"}, {"lookahead", "0"}, {"processing-latency", "0"}});
  play(&stage);
  const auto warning = stage.message(GST_MESSAGE_WARNING, std::chrono::milliseconds(0));
  ASSERT_TRUE(warning);
  const GstStructure* details = nullptr;
  gst_message_parse_warning_details(warning.get(), &details);
  ASSERT_TRUE(details);
  gdouble rtf = 0;
  EXPECT_TRUE(gst_structure_get_double(details, "rtf-avg", &rtf));
  EXPECT_GT(rtf, 1.0);
  EXPECT_FALSE(stage.message(GST_MESSAGE_WARNING, std::chrono::milliseconds(0)));
}

TEST_F(Overload, UpstreamThatIsLiveCounts) {
  Stage stage({{"hop-duration", "10000000"}, {"lookahead", "0"}, {"processing-latency", "0"}});
  gst_harness_set_live(stage.harness(), TRUE);
  play(&stage);
  EXPECT_GT(stat(&stage, "bypassed"), 0U);
  EXPECT_TRUE(said_to_be_live(&stage));
}

TEST_F(Overload, OneSlowInferenceIsNoOverload) {
  Stage stage(
      {{"mode", "live"}, {"hop-duration", "100000000"}, {"lookahead", "0"}, {"processing-latency", "0"}});
  engine().inference_ms = 30;
  stage.start(1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(stage.push(std::vector<float>(4410, 1.0F)), GST_FLOW_OK);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stat(&stage, "bypassed"), 0U);
}

// A measured budget that proves too small grows, and the new latency is announced.
TEST_F(Overload, MeasuredBudgetGrows) {
  engine().warm_up_ns = 1000000;
  engine().inference_ms = 40;
  Stage stage({{"mode", "live"}, {"hop-duration", "200000000"}, {"lookahead", "0"}});
  stage.start(1);
  ASSERT_EQ(stage.push(std::vector<float>(8820 + fake::kTailSamples, 1.0F)), GST_FLOW_OK);
  ASSERT_TRUE(stage.vocals().wait_frames(8820));
  EXPECT_GE(stat(&stage, "latency"),
            gst_util_uint64_scale(8820 + fake::kTailSamples, GST_SECOND, kRateHz) + 50 * GST_MSECOND);
  int announced = 0;
  while (stage.message(GST_MESSAGE_LATENCY, std::chrono::milliseconds(0))) ++announced;
  EXPECT_GE(announced, 2) << "after the warm-up, and after the slow inference";
}

TEST_F(Overload, StatisticsArePostedWhenAskedFor) {
  Stage stage({{"post-messages", "true"}, {"interval", "500000000"}, {"latency", "200000000"}});
  stage.start(1);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = 10 * GST_SECOND;
  segment.time = 3 * GST_SECOND;
  segment.base = GST_SECOND;
  ASSERT_TRUE(stage.send(gst_event_new_segment(&segment)));
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(stage.push_at(noise(4410), segment.start + ns(i * 4410)), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  int messages = 0;
  guint64 last = 0;
  while (const auto message = stage.message(GST_MESSAGE_ELEMENT, std::chrono::milliseconds(0))) {
    const GstStructure* s = gst_message_get_structure(message.get());
    ASSERT_STREQ(gst_structure_get_name(s), "bsmamba2sep-stats");
    guint64 processed = 0;
    GstClockTime timestamp = 0, stream_time = 0, running_time = 0;
    ASSERT_TRUE(gst_structure_get_uint64(s, "processed", &processed));
    ASSERT_TRUE(gst_structure_get_clock_time(s, "stream-time", &stream_time));
    ASSERT_TRUE(gst_structure_get_clock_time(s, "timestamp", &timestamp));
    ASSERT_TRUE(gst_structure_get_clock_time(s, "running-time", &running_time));
    const GstClockTime left = ns(static_cast<int64_t>(processed));
    EXPECT_EQ(timestamp, segment.start + left);
    EXPECT_EQ(stream_time, segment.time + left);
    EXPECT_EQ(running_time, segment.base + left);
    EXPECT_GE(processed, last + 22050);
    last = processed;
    ++messages;
  }
  EXPECT_GE(messages, 15);
  EXPECT_LE(messages, 20);
}

TEST_F(Overload, NoMessagesByDefault) {
  Stage stage({{"interval", "1000000"}});
  stage.start(1);
  ASSERT_EQ(stage.push_noise(100000), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_FALSE(stage.message(GST_MESSAGE_ELEMENT, std::chrono::milliseconds(0)));
}

}  // namespace
}  // namespace bsm::test
