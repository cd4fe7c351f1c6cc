// Samples: what comes in leaves through both pads, separated, complete, whatever the sizes; flow returns;
// back-pressure.
#include "harness.h"

namespace bsm::test {
namespace {

class Flow : public ElementTest {};

// Pitfalls 8 and 10: no tail is lost, no seam appears, the cuts of the input do not show.
struct Sizes {
  int64_t total, chunk;
};
class FlowSizes : public ElementTest, public ::testing::WithParamInterface<Sizes> {};

TEST_P(FlowSizes, EverySampleLeavesOnce) {
  const auto [total, chunk] = GetParam();
  Stage stage({{"latency", "200000000"}});
  stage.start();
  const std::vector<float> input = noise(total * 2);
  for (int64_t at = 0; at < total; at += chunk) {
    const auto end = input.begin() + std::min(total, at + chunk) * 2;
    ASSERT_EQ(stage.push({input.begin() + at * 2, end}), GST_FLOW_OK);
  }
  ASSERT_TRUE(stage.finish());
  expect_separated(input, stage.vocals().samples(), stage.instrumental().samples());
  expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
}

constexpr int64_t kHop = 8 * 441 - 441;  // near the hop of a latency of 200 ms
INSTANTIATE_TEST_SUITE_P(Lengths, FlowSizes,
                         ::testing::Values(Sizes{1, 1}, Sizes{440, 441}, Sizes{441, 441}, Sizes{2047, 64},
                                           Sizes{2048, 2048}, Sizes{kHop - 1, 1024}, Sizes{kHop, 1024},
                                           Sizes{kHop + 1, 1024}, Sizes{44100, 7}, Sizes{44100, 44100},
                                           Sizes{88200, 1920}, Sizes{100003, 4410}, Sizes{600000, 600000},
                                           Sizes{60 * 44100, 4410}));

TEST_F(Flow, NoSamplesNoBuffers) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().order(), "stream-start caps segment eos");
  EXPECT_EQ(stage.instrumental().order(), "stream-start caps segment eos");
}

TEST_F(Flow, MonoStaysMono) {
  Stage stage;
  stage.start(1);
  const std::vector<float> input = noise(50000);
  ASSERT_EQ(stage.push(input), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().channels, 1);
  expect_separated(input, stage.vocals().samples(), stage.instrumental().samples());
}

TEST_F(Flow, ChangeOfChannelsDrainsFirst) {
  Stage stage;
  stage.start(2);
  ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
  stage.start(1);
  ASSERT_EQ(stage.push_at(noise(20000), ns(30000)), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().order(), "stream-start caps segment buffer caps segment buffer eos");
  EXPECT_EQ(stage.vocals().frames(), 50000);
  EXPECT_EQ(stage.instrumental().frames(), 50000);
  EXPECT_EQ(engine().channels, 1);
}

TEST_F(Flow, ValuesBeyondFullScalePass) {
  Stage stage;
  stage.start();
  std::vector<float> input = noise(9000);
  for (float& x : input) x *= 40.0F;
  ASSERT_EQ(stage.push(input), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  expect_separated(input, stage.vocals().samples(), stage.instrumental().samples());
}

TEST_F(Flow, AllOtherStemsAreTheInstrumental) {
  engine().stems = 3;
  Stage stage;
  stage.start();
  const std::vector<float> input(2000, 1.0F);
  ASSERT_EQ(stage.push(input), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  for (float x : stage.vocals().samples()) ASSERT_EQ(x, 0.25F);
  const std::vector<float> rest = stage.instrumental().samples();
  ASSERT_EQ(rest.size(), input.size());
  for (float x : rest) ASSERT_EQ(x, 0.75F);
}

// Pitfall 1: a single pushing thread would hang in preroll.
TEST_F(Flow, TwoSyncedSinksWithoutQueuesRunToEos) {
  const std::string line =
      "audiotestsrc num-buffers=60 samplesperbuffer=1024 ! audioconvert ! bsmamba2sep name=s model-file=" +
      any_model_file() +
      " latency=200000000 s.vocals ! fakesink sync=true s.instrumental ! fakesink sync=true";
  const Owned<GstElement> pipeline(gst_parse_launch(line.c_str(), nullptr));
  const Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  const Owned<GstMessage> end(gst_bus_timed_pop_filtered(
      bus.get(), 20 * GST_SECOND, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR)));
  ASSERT_TRUE(end);
  EXPECT_EQ(GST_MESSAGE_TYPE(end.get()), GST_MESSAGE_EOS);
}

TEST_F(Flow, OneUnlinkedPadIsFine) {
  Stage stage({}, /*link_instrumental=*/false);
  stage.start();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(stage.push_noise(2048), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 204800);
}

TEST_F(Flow, BothUnlinkedIsReportedUpstream) {
  const std::string line = "audiotestsrc ! audioconvert ! bsmamba2sep model-file=" + any_model_file();
  const Owned<GstElement> pipeline(gst_parse_launch(line.c_str(), nullptr));
  const Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  const BusError error = wait_error(bus.get());
  EXPECT_EQ(error.domain, GST_STREAM_ERROR);
  EXPECT_EQ(error.code, GST_STREAM_ERROR_FAILED);
}

// The stream is over before the first push fails: the source cannot report it any more.
TEST_F(Flow, BothUnlinkedIsReportedForAShortStream) {
  const std::string line =
      "audiotestsrc num-buffers=2 ! audioconvert ! bsmamba2sep model-file=" + any_model_file();
  const Owned<GstElement> pipeline(gst_parse_launch(line.c_str(), nullptr));
  const Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  EXPECT_EQ(wait_error(bus.get()).domain, GST_STREAM_ERROR);
}

TEST_F(Flow, PadLinkedLaterGetsStickyEventsAndData) {
  Stage stage({{"latency", "200000000"}}, /*link_instrumental=*/false);
  stage.start();
  for (int i = 0; i < 20; ++i) ASSERT_EQ(stage.push_noise(4410), GST_FLOW_OK);
  ASSERT_TRUE(stage.vocals().wait_frames(50000));
  const Owned<GstHarness> late(gst_harness_new_with_element(stage.element(), nullptr, "instrumental"));
  for (int i = 0; i < 20; ++i) ASSERT_EQ(stage.push_noise(4410), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  GstBuffer* buffer = gst_harness_try_pull(late.get());
  ASSERT_TRUE(buffer);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT)) << "what came before was lost";
  gst_buffer_unref(buffer);
  GstCaps* caps = gst_pad_get_current_caps(late->sinkpad);
  EXPECT_TRUE(caps);
  gst_clear_caps(&caps);
}

GstPadProbeReturn refuse(GstPad*, GstPadProbeInfo* info, gpointer flow) {
  GST_PAD_PROBE_INFO_FLOW_RETURN(info) = static_cast<GstFlowReturn>(GPOINTER_TO_INT(flow));
  gst_buffer_unref(GST_PAD_PROBE_INFO_BUFFER(info));
  return GST_PAD_PROBE_HANDLED;
}

void refuse_on(GstElement* element, const char* name, GstFlowReturn flow) {
  GstPad* pad = gst_element_get_static_pad(element, name);
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, refuse, GINT_TO_POINTER(flow), nullptr);
  gst_object_unref(pad);
}

/// Pushes until the flow return is not OK.
GstFlowReturn push_until_refused(Stage* stage) {
  GstFlowReturn flow = GST_FLOW_OK;
  eventually([&] { return (flow = stage->push_noise(1024)) != GST_FLOW_OK; });
  return flow;
}

TEST_F(Flow, ErrorOfOnePadGoesUpstream) {
  Stage stage;
  refuse_on(stage.element(), "instrumental", GST_FLOW_ERROR);
  stage.start();
  EXPECT_EQ(push_until_refused(&stage), GST_FLOW_ERROR);
}

// Upstream has pushed its last buffer before the pad said so.
TEST_F(Flow, ErrorBeforeEosIsReported) {
  Stage stage({{"latency", "200000000"}});
  refuse_on(stage.element(), "instrumental", GST_FLOW_ERROR);
  stage.start();
  ASSERT_TRUE(stage.wait_loaded());
  if (stage.push_noise(12000) != GST_FLOW_OK) return;  // it has room in the ring, but upstream knows already
  ASSERT_TRUE(stage.vocals().wait_frames(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  stage.send(gst_event_new_eos());
  EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).domain, GST_STREAM_ERROR);
}

TEST_F(Flow, EosOfOnePadDoesNotStopTheOther) {
  Stage stage({{"latency", "200000000"}});
  refuse_on(stage.element(), "vocals", GST_FLOW_EOS);
  stage.start();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(stage.push_noise(4410), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.instrumental().frames(), 220500);
}

TEST_F(Flow, EosOfBothPadsGoesUpstream) {
  Stage stage({{"latency", "200000000"}});
  refuse_on(stage.element(), "vocals", GST_FLOW_EOS);
  refuse_on(stage.element(), "instrumental", GST_FLOW_EOS);
  stage.start();
  EXPECT_EQ(push_until_refused(&stage), GST_FLOW_EOS);
}

// The chain waits when the ring is full, and goes on when there is room.
TEST_F(Flow, FullRingBlocksUpstream) {
  engine().block_push = true;
  Stage stage({{"latency", "200000000"}, {"processing-latency", "0"}});
  stage.start();
  std::atomic<int64_t> pushed = 0;
  std::thread upstream([&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(stage.push_noise(4410), GST_FLOW_OK);
      pushed += 4410;
    }
  });
  ASSERT_TRUE(eventually([] { return engine().blocked == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  // Ring: latency + two hops; what the engine holds: at most a latency more; one buffer in the chain.
  EXPECT_LT(pushed, 2 * 8820 + 3 * 4410 + 2 * 4410);
  GstStructure* raw = nullptr;
  g_object_get(stage.element(), "stats", &raw, nullptr);
  const Owned<GstStructure> stats(raw);
  guint64 queued_ns = 0;
  EXPECT_TRUE(gst_structure_get_uint64(stats.get(), "queued", &queued_ns));
  EXPECT_GE(queued_ns, ns(2 * 4410));
  EXPECT_LE(queued_ns, ns(pushed + 4410));
  engine().block_push = false;
  upstream.join();
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 441000);
}

// The reported maximum includes the measured time of an inference: so much must have room.
TEST_F(Flow, RingHoldsWhatTheLatencyPromises) {
  engine().warm_up_ns = 2 * static_cast<int64_t>(GST_SECOND);
  Stage stage({{"latency", "200000000"}});
  stage.start();
  ASSERT_EQ(stage.push_noise(441), GST_FLOW_OK);
  ASSERT_TRUE(stage.message(GST_MESSAGE_LATENCY));
  ASSERT_TRUE(eventually([] { return engine().open_streams > 0; }));
  engine().block_push = true;
  std::atomic<bool> pushed = false;
  std::thread upstream([&] {
    EXPECT_EQ(stage.push_noise(2 * kRateHz), GST_FLOW_OK);
    pushed = true;
  });
  EXPECT_TRUE(eventually([&] { return pushed.load(); }, std::chrono::seconds(5)));
  engine().block_push = false;
  upstream.join();
  ASSERT_TRUE(stage.finish());
}

TEST_F(Flow, MetasAreDropped) {
  Stage stage;
  stage.start();
  GstBuffer* buffer = make_buffer(noise(2000), 2, 0);
  gst_buffer_add_audio_level_meta(buffer, 3, TRUE);
  bool seen = false;
  GstPad* pad = gst_element_get_static_pad(stage.element(), "vocals");
  gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad*, GstPadProbeInfo* info, gpointer result) {
        *static_cast<bool*>(result) =
            gst_buffer_get_audio_level_meta(GST_PAD_PROBE_INFO_BUFFER(info)) != nullptr;
        return GST_PAD_PROBE_OK;
      },
      &seen, nullptr);
  gst_object_unref(pad);
  ASSERT_EQ(gst_harness_push(stage.harness(), buffer), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 1000);
  EXPECT_FALSE(seen);
}

}  // namespace
}  // namespace bsm::test
