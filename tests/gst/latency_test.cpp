// Pitfalls 5 and 6: the LATENCY answer is there before caps and model, true afterwards, and max is never
// below min.
#include "harness.h"

namespace bsm::test {
namespace {

class Latency : public ElementTest {};

struct Answer {
  bool ok = false;
  gboolean live = FALSE;
  GstClockTime min = 0, max = 0;
};

Answer ask(GstElement* element, const char* pad_name = "vocals") {
  GstPad* pad = gst_element_get_static_pad(element, pad_name);
  GstQuery* query = gst_query_new_latency();
  Answer answer;
  answer.ok = gst_pad_query(pad, query);
  gst_query_parse_latency(query, &answer.live, &answer.min, &answer.max);
  gst_query_unref(query);
  gst_object_unref(pad);
  return answer;
}

GstClockTime ns_up(int64_t frames) {
  return gst_util_uint64_scale_ceil(static_cast<guint64>(frames), GST_SECOND, kRateHz);
}

TEST_F(Latency, IsKnownBeforeTheModelIsLoaded) {
  engine().block_open = true;
  Stage stage({{"latency", "600000000"}, {"processing-latency", "50000000"}});
  for (const char* pad : {"vocals", "instrumental"}) {
    const Answer answer = ask(stage.element(), pad);
    ASSERT_TRUE(answer.ok);
    EXPECT_EQ(answer.min, 650 * GST_MSECOND);
  }
}

TEST_F(Latency, BothPartsGivenIgnoreTheBound) {
  engine().block_open = true;
  Stage stage({{"hop-duration", "100000000"}, {"lookahead", "50000000"}, {"processing-latency", "0"}});
  EXPECT_EQ(ask(stage.element()).min, ns_up(15 * 441 + 2048 - 441));
}

TEST_F(Latency, UnmeasuredProcessingIsAQuarterOfAHop) {
  engine().block_open = true;
  Stage stage({{"hop-duration", "200000000"}, {"lookahead", "0"}});
  EXPECT_EQ(ask(stage.element()).min, ns_up(20 * 441 + 2048 - 441) + 50 * GST_MSECOND);
}

TEST_F(Latency, BecomesExactAndIsAnnounced) {
  engine().warm_up_ns = 40000000;
  Stage stage({{"latency", "1000000000"}});
  const Answer before = ask(stage.element());
  stage.start();
  ASSERT_TRUE(stage.push_noise(441) == GST_FLOW_OK);
  ASSERT_TRUE(eventually([] { return engine().open_streams > 0; }));
  ASSERT_TRUE(stage.message(GST_MESSAGE_LATENCY));
  const int64_t delay = engine().hop_samples + engine().lookahead_samples + fake::kTailSamples;
  const GstClockTime expected = ns_up(delay) + 50 * GST_MSECOND;  // the warm-up and a quarter
  ASSERT_TRUE(eventually([&] { return ask(stage.element()).min == expected; }));
  EXPECT_NE(before.min, expected);
}

TEST_F(Latency, IsNotAnnouncedWhenItStays) {
  Stage stage({{"hop-duration", "100000000"}, {"lookahead", "100000000"}, {"processing-latency", "7000000"}});
  stage.start();
  ASSERT_EQ(stage.push_noise(20000), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_FALSE(stage.message(GST_MESSAGE_LATENCY, std::chrono::milliseconds(0)));
}

struct Shape {
  const char *latency, *hop, *lookahead;
  int64_t hop_frames, lookahead_frames;
};
class LatencyShape : public ElementTest, public ::testing::WithParamInterface<Shape> {};

TEST_P(LatencyShape, FollowsFromTheProperties) {
  const Shape& shape = GetParam();
  Stage stage({{"latency", shape.latency}, {"hop-duration", shape.hop}, {"lookahead", shape.lookahead}});
  stage.start();
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().hop_samples, shape.hop_frames * 441);
  EXPECT_EQ(engine().lookahead_samples, shape.lookahead_frames * 441);
}

// 1 s - 36.4 ms of tail = 963.6 ms: 96 frames in all, 26 of them look-ahead, which grows when the hop has 74;
// 50 ms leave one frame.
INSTANTIATE_TEST_SUITE_P(
    All, LatencyShape,
    ::testing::Values(Shape{"1000000000", "-1", "-1", 70, 26}, Shape{"800000000", "-1", "-1", 50, 26},
                      Shape{"300000000", "-1", "-1", 13, 13}, Shape{"1300000000", "-1", "-1", 74, 52},
                      Shape{"8000000000", "-1", "-1", 398, 398}, Shape{"50000000", "-1", "-1", 1, 0},
                      Shape{"1000000000", "200000000", "-1", 20, 76},
                      Shape{"1000000000", "-1", "300000000", 66, 30}, Shape{"1000000000", "-1", "0", 96, 0},
                      Shape{"1000000000", "123000000", "5000000", 13, 1},
                      Shape{"100000000", "-1", "2000000000", 1, 200}, Shape{"100000000", "0", "0", 1, 0}));

// Whatever `latency` says: about 4 s each, unless a part is given.
TEST_F(Latency, OfflineHasALongHopAndLookahead) {
  const std::pair<const char*, int64_t> cases[] = {{"-1", 398}, {"1000000000", 100}};
  for (const auto& [hop, hop_frames] : cases) {
    engine().restore();
    Stage stage({{"mode", "offline"}, {"latency", "300000000"}, {"hop-duration", hop}});
    stage.start();
    ASSERT_TRUE(stage.finish());
    EXPECT_EQ(engine().hop_samples, hop_frames * 441);
    EXPECT_EQ(engine().lookahead_samples, (796 - hop_frames) * 441);
  }
}

TEST_F(Latency, DerivedDelayKeepsTheBound) {
  for (const char* latency : {"50000000", "60000000", "100000000", "777000000", "16000000000"}) {
    engine().restore();
    Stage stage({{"latency", latency}});
    stage.start();
    ASSERT_TRUE(stage.finish());
    EXPECT_LE(ns_up(engine().hop_samples + engine().lookahead_samples + fake::kTailSamples),
              g_ascii_strtoull(latency, nullptr, 10));
  }
}

TEST_F(Latency, AddsToUpstream) {
  Stage stage({{"latency", "600000000"}, {"processing-latency", "0"}});
  gst_harness_set_live(stage.harness(), TRUE);
  gst_harness_set_upstream_latency(stage.harness(), 200 * GST_MSECOND);
  engine().block_open = true;
  const Answer with = ask(stage.element());
  EXPECT_TRUE(with.live);
  gst_harness_set_upstream_latency(stage.harness(), 0);
  EXPECT_EQ(with.min, ask(stage.element()).min + 200 * GST_MSECOND);
  gst_harness_set_live(stage.harness(), FALSE);
  EXPECT_FALSE(ask(stage.element()).live);
}

gboolean answer_200ms(GstPad* pad, GstObject* parent, GstQuery* query) {
  if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY) return gst_pad_query_default(pad, parent, query);
  gst_query_set_latency(query, TRUE, 10 * GST_MSECOND, 200 * GST_MSECOND);
  return TRUE;
}

// Like alsasrc: upstream can hold only 200 ms, less than our minimum.
TEST_F(Latency, MaximumIsNeverBelowMinimum) {
  for (const char* processing : {"-1", "0", "10000000000"}) {
    Stage stage({{"latency", "2000000000"}, {"processing-latency", processing}});
    gst_pad_set_query_function(stage.harness()->srcpad, answer_200ms);
    for (const bool loaded : {false, true}) {
      if (loaded) {
        stage.start();
        ASSERT_TRUE(stage.finish());
      }
      const Answer answer = ask(stage.element());
      ASSERT_TRUE(answer.ok);
      EXPECT_LE(answer.min, answer.max) << "processing " << processing << " loaded " << loaded;
    }
  }
}

TEST_F(Latency, FailsWhenUpstreamCannotAnswer) {
  const Owned<GstElement> element(GST_ELEMENT(gst_object_ref_sink(make_element())));
  EXPECT_FALSE(ask(element.get()).ok);
}

/// How long after their running time buffers reach a sink at the earliest.
struct Arrival {
  std::atomic<GstClockTimeDiff> earliest{G_MAXINT64};
  std::atomic<int> buffers{0};

  static void on_handoff(GstElement* sink, GstBuffer* buffer, GstPad* pad, gpointer self) {
    auto* arrival = static_cast<Arrival*>(self);
    GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
    const GstSegment* segment = nullptr;
    gst_event_parse_segment(event, &segment);
    const GstClockTime due = gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    gst_event_unref(event);
    const GstClockTimeDiff late = GST_CLOCK_DIFF(due, gst_element_get_current_running_time(sink));
    if (late < arrival->earliest) arrival->earliest = late;
    ++arrival->buffers;
  }
};

// The picture of a live stream is held back as long as the sound takes.
TEST_F(Latency, LivePictureAndSoundStayInSync) {
  const std::string line =
      "audiotestsrc is-live=true samplesperbuffer=441 ! audio/x-raw,rate=44100,channels=2 ! bsmamba2sep "
      "name=s"
      " hop-duration=100000000 lookahead=100000000 processing-latency=50000000 model-file=" +
      any_model_file() +
      " s.instrumental ! fakesink name=sound sync=true signal-handoffs=true"
      " videotestsrc is-live=true ! video/x-raw,width=16,height=16,framerate=50/1 !"
      " queue max-size-time=3000000000 max-size-bytes=0 max-size-buffers=0 !"
      " fakesink name=picture sync=true signal-handoffs=true";
  const Owned<GstElement> pipeline(gst_parse_launch(line.c_str(), nullptr));
  ASSERT_TRUE(pipeline);
  Arrival sound, picture;
  for (const auto& [name, arrival] : {std::pair{"sound", &sound}, std::pair{"picture", &picture}}) {
    GstElement* sink = gst_bin_get_by_name(GST_BIN(pipeline.get()), name);
    g_signal_connect(sink, "handoff", G_CALLBACK(Arrival::on_handoff), arrival);
    gst_object_unref(sink);
  }
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  ASSERT_TRUE(eventually([&] { return sound.buffers > 10 && picture.buffers > 50; }));
  const Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  EXPECT_FALSE(Owned<GstMessage>(gst_bus_pop_filtered(bus.get(), GST_MESSAGE_WARNING)));
  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  const GstClockTimeDiff delay = ns(20 * 441 + fake::kTailSamples) + 50 * GST_MSECOND;
  EXPECT_GE(sound.earliest, delay);
  EXPECT_LT(std::abs(sound.earliest - picture.earliest), 40 * static_cast<GstClockTimeDiff>(GST_MSECOND));
}

// What is reported is kept: a sample is out when its delay has been pushed.
TEST_F(Latency, TrueDelayIsNotLonger) {
  Stage stage({{"latency", "300000000"}});
  stage.start();
  int64_t pushed = 0;
  ASSERT_EQ(stage.push_noise(441), GST_FLOW_OK);
  pushed += 441;
  ASSERT_TRUE(eventually([] { return engine().hop_samples > 0; }));
  const int64_t delay = engine().hop_samples + engine().lookahead_samples + fake::kTailSamples;
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(stage.push_noise(441), GST_FLOW_OK);
    pushed += 441;
    if (i % 10 == 0 && pushed > delay) {
      ASSERT_TRUE(stage.vocals().wait_frames(pushed - delay));
      ASSERT_TRUE(stage.instrumental().wait_frames(pushed - delay));
    }
  }
}

}  // namespace
}  // namespace bsm::test
