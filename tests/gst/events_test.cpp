// Pitfall 9: serialized events keep their place between the samples, on both pads.
#include "harness.h"

namespace bsm::test {
namespace {

class Events : public ElementTest {};

GstEvent* custom(const std::string& name, GstEventType type = GST_EVENT_CUSTOM_DOWNSTREAM) {
  return gst_event_new_custom(type, gst_structure_new_empty(name.c_str()));
}

TEST_F(Events, NumberedEventsStayAtTheirSample) {
  Stage stage({{"latency", "300000000"}});
  stage.start();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(stage.send(custom("mark-" + std::to_string(i))));
    ASSERT_EQ(stage.push_noise(1000, static_cast<uint32_t>(i)), GST_FLOW_OK);
  }
  ASSERT_TRUE(stage.finish());
  for (const Recorder* pad : {&stage.vocals(), &stage.instrumental()}) {
    int64_t frames = 0;
    int marks = 0;
    for (const Entry& e : pad->entries()) {
      frames += e.frames;
      if (e.type != GST_EVENT_CUSTOM_DOWNSTREAM) continue;
      EXPECT_EQ(e.name, "mark-" + std::to_string(marks));
      EXPECT_EQ(frames, marks * 1000) << e.name;
      ++marks;
    }
    EXPECT_EQ(marks, 200);
  }
  expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
}

TEST_F(Events, TagsStayInOrder) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(500), GST_FLOW_OK);
  ASSERT_TRUE(stage.send(gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "song", nullptr))));
  ASSERT_EQ(stage.push_noise(500), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().order(), "stream-start caps segment buffer tag buffer eos");
  EXPECT_EQ(stage.instrumental().order(), stage.vocals().order());
}

TEST_F(Events, EachPadIsAStreamOfItsOwn) {
  Stage stage;
  GstEvent* start = gst_event_new_stream_start("upstream-id");
  gst_event_set_group_id(start, 77);
  gst_event_set_stream_flags(start, GST_STREAM_FLAG_SELECT);
  const guint32 seqnum = gst_event_get_seqnum(start);
  ASSERT_TRUE(stage.send(start));
  stage.start();
  ASSERT_TRUE(stage.finish());
  for (const char* name : {"vocals", "instrumental"}) {
    GstPad* pad = gst_element_get_static_pad(stage.element(), name);
    GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_STREAM_START, 0);
    ASSERT_TRUE(event);
    const gchar* id = nullptr;
    gst_event_parse_stream_start(event, &id);
    EXPECT_EQ(std::string(id), std::string("upstream-id/") + name);
    guint group = 0;
    EXPECT_TRUE(gst_event_parse_group_id(event, &group));
    EXPECT_EQ(group, 77U);
    GstStreamFlags flags = GST_STREAM_FLAG_NONE;
    gst_event_parse_stream_flags(event, &flags);
    EXPECT_EQ(flags, GST_STREAM_FLAG_SELECT);
    EXPECT_EQ(gst_event_get_seqnum(event), seqnum);
    GstStream* stream = nullptr;
    gst_event_parse_stream(event, &stream);
    ASSERT_TRUE(stream);
    EXPECT_STREQ(gst_stream_get_stream_id(stream), id);
    EXPECT_EQ(gst_stream_get_stream_type(stream), GST_STREAM_TYPE_AUDIO);
    gst_object_unref(stream);
    gst_event_unref(event);
    gst_object_unref(pad);
  }
}

TEST_F(Events, StreamCollectionOfUpstreamIsDropped) {
  Stage stage;
  stage.start();
  GstStreamCollection* collection = gst_stream_collection_new("upstream");
  ASSERT_TRUE(stage.send(gst_event_new_stream_collection(collection)));
  gst_object_unref(collection);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().count(GST_EVENT_STREAM_COLLECTION), 0);
}

TEST_F(Events, OutOfBandEventsGoAheadOfQueuedAudio) {
  engine().block_push = true;
  Stage stage({{"latency", "200000000"}});
  stage.start();
  ASSERT_EQ(stage.push_noise(10000), GST_FLOW_OK);
  ASSERT_TRUE(eventually([] { return engine().blocked == 1; }));
  ASSERT_TRUE(stage.send(custom("now", GST_EVENT_CUSTOM_DOWNSTREAM_OOB)));
  EXPECT_EQ(stage.vocals().count(GST_EVENT_CUSTOM_DOWNSTREAM_OOB), 1);
  EXPECT_EQ(stage.instrumental().count(GST_EVENT_CUSTOM_DOWNSTREAM_OOB), 1);
  EXPECT_EQ(stage.vocals().frames(), 0);
}

TEST_F(Events, ShortGapIsSilenceInPlace) {
  Stage stage;
  stage.start();
  const std::vector<float> ones(2000, 1.0F);
  ASSERT_EQ(stage.push(ones), GST_FLOW_OK);
  // 0.5 s, and the duration is rounded: 22050 samples all the same.
  ASSERT_TRUE(stage.send(gst_event_new_gap(ns(1000), GST_SECOND / 2)));
  ASSERT_EQ(stage.push_at(ones, ns(1000 + 22050)), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  std::vector<float> expected(ones);
  expected.resize(2 * (1000 + 22050), 0.0F);
  expected.insert(expected.end(), ones.begin(), ones.end());
  expect_separated(expected, stage.vocals().samples(), stage.instrumental().samples());
  EXPECT_EQ(stage.vocals().count(GST_EVENT_GAP), 0);
  EXPECT_EQ(engine().finishes, 1) << "the context is kept over the gap";
}

TEST_F(Events, SilentBlocksAreMarkedOnBothPads) {
  Stage stage({{"hop-duration", "100000000"}, {"lookahead", "0"}});
  stage.start();
  ASSERT_EQ(stage.push(std::vector<float>(2 * 8820, 0.0F)), GST_FLOW_OK);
  ASSERT_EQ(stage.push(std::vector<float>(2 * 8820, 0.5F)), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  for (const Entry& e : stage.vocals().buffers())
    EXPECT_EQ((e.flags & GST_BUFFER_FLAG_GAP) != 0, e.pts < ns(8820)) << e.pts;
  expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
}

TEST_F(Events, BufferFlaggedGapIsSilenceWhateverItHolds) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_at(std::vector<float>(2000, 0.7F), 0, GST_BUFFER_FLAG_GAP), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().samples(), std::vector<float>(2000, 0.0F));
  EXPECT_EQ(stage.instrumental().samples(), std::vector<float>(2000, 0.0F));
}

TEST_F(Events, LongOrUnknownGapEndsTheSignal) {
  for (const GstClockTime duration : {GstClockTime{9 * GST_SECOND}, GST_CLOCK_TIME_NONE}) {
    Stage stage;
    stage.start();
    ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
    ASSERT_TRUE(stage.send(gst_event_new_gap(ns(30000), duration)));
    ASSERT_EQ(stage.push_at(noise(2 * 1000), ns(30000) + 9 * GST_SECOND), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    EXPECT_EQ(stage.vocals().order(), "stream-start caps segment buffer gap buffer eos");
    EXPECT_EQ(stage.instrumental().order(), stage.vocals().order());
    int64_t frames = 0;
    for (const Entry& e : stage.vocals().entries()) {
      if (e.type == GST_EVENT_GAP) {
        EXPECT_EQ(frames, 30000);
        EXPECT_EQ(e.pts, ns(30000));
        EXPECT_EQ(e.duration, duration);
      }
      frames += e.frames;
    }
    EXPECT_EQ(stage.vocals().buffers().back().pts, ns(30000) + 9 * GST_SECOND);
    EXPECT_TRUE(stage.vocals().buffers().back().flags & GST_BUFFER_FLAG_DISCONT);
  }
}

// A gap that begins elsewhere than the samples end is no silence to fill in.
TEST_F(Events, GapElsewhereEndsTheSignal) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
  ASSERT_TRUE(stage.send(gst_event_new_gap(3 * GST_SECOND, GST_SECOND)));
  ASSERT_EQ(stage.push_at(noise(2 * 1000), 4 * GST_SECOND), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().order(), "stream-start caps segment buffer gap buffer eos");
  EXPECT_EQ(stage.vocals().frames(), 31000);
  EXPECT_EQ(stage.vocals().buffers().back().pts, 4 * GST_SECOND);
}

TEST_F(Events, GapBeforeAnyDataIsForwarded) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.send(gst_event_new_gap(0, GST_SECOND)));
  EXPECT_TRUE(stage.vocals().wait_for(GST_EVENT_GAP));
  EXPECT_TRUE(stage.instrumental().wait_for(GST_EVENT_GAP));
}

TEST_F(Events, NewSegmentDrains) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
  ASSERT_TRUE(stage.send_segment(10 * GST_SECOND));
  ASSERT_EQ(stage.push_at(noise(2000), 10 * GST_SECOND), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().order(), "stream-start caps segment buffer segment buffer eos");
  const std::vector<Entry> all = stage.vocals().entries();
  int64_t frames = 0;
  for (const Entry& e : all) {
    if (e.type == GST_EVENT_SEGMENT && e.segment.start > 0) {
      EXPECT_EQ(frames, 30000);
    }
    frames += e.frames;
  }
  EXPECT_EQ(stage.vocals().buffers().back().pts, 10 * GST_SECOND);
}

TEST_F(Events, SegmentThatMovesOnlyThePositionDoesNotDrain) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.position = ns(30000);
  GstEvent* event = gst_event_new_segment(&segment);
  const guint32 seqnum = gst_event_get_seqnum(event);
  ASSERT_TRUE(stage.send(event));
  ASSERT_EQ(stage.push_noise(1000), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().finishes, 1);
  int64_t frames = 0;
  bool seen = false;
  for (const Entry& e : stage.vocals().entries()) {
    if (e.type == GST_EVENT_SEGMENT && e.seqnum == seqnum) {
      EXPECT_EQ(frames, 30000);
      seen = true;
    }
    frames += e.frames;
  }
  EXPECT_TRUE(seen);
}

TEST_F(Events, EqualCapsAgainDoNotDrain) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(3000), GST_FLOW_OK);
  ASSERT_TRUE(stage.send(
      gst_event_new_caps(Owned<GstCaps>(gst_pad_get_current_caps(stage.harness()->srcpad)).get())));
  ASSERT_EQ(stage.push_noise(3000), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().finishes, 1);
  EXPECT_EQ(engine().stream_opens, 1);
}

// decodebin says that a group is done before the resampler behind it has given its last samples.
TEST_F(Events, SamplesAfterTheEndOfAGroupGoOn) {
  for (GstEvent* end : {gst_event_new_stream_group_done(7), gst_event_new_segment_done(GST_FORMAT_TIME, 0)}) {
    const GstEventType type = GST_EVENT_TYPE(end);
    Stage stage;
    stage.start();
    const std::vector<float> song = noise(2 * 30000), rest = noise(2 * 33, 9);
    ASSERT_EQ(stage.push(song), GST_FLOW_OK);
    ASSERT_TRUE(stage.send(end));
    ASSERT_TRUE(stage.vocals().wait_for(type)) << "all samples before it leave at once, and then the event";
    EXPECT_EQ(stage.vocals().frames(), 30000);
    ASSERT_EQ(stage.push(rest), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    std::vector<float> all = song;
    all.insert(all.end(), rest.begin(), rest.end());
    expect_separated(all, stage.vocals().samples(), stage.instrumental().samples());
    expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
    const std::vector<Entry> buffers = stage.vocals().buffers();
    for (size_t i = 0; i < buffers.size(); ++i)
      EXPECT_EQ((buffers[i].flags & GST_BUFFER_FLAG_DISCONT) != 0, i == 0) << "buffer " << i;
    const Owned<GstStructure> stats([&] {
      GstStructure* s = nullptr;
      g_object_get(stage.element(), "stats", &s, nullptr);
      return s;
    }());
    guint64 discontinuities = 9;
    gst_structure_get_uint64(stats.get(), "discontinuities", &discontinuities);
    EXPECT_EQ(discontinuities, 0U);
  }
}

TEST_F(Events, SegmentDoneFollowsTheDrainedSignal) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
  ASSERT_TRUE(stage.send(gst_event_new_segment_done(GST_FORMAT_TIME, ns(30000))));
  ASSERT_TRUE(stage.vocals().wait_for(GST_EVENT_SEGMENT_DONE));
  ASSERT_TRUE(stage.instrumental().wait_for(GST_EVENT_SEGMENT_DONE));
  EXPECT_EQ(stage.vocals().frames(), 30000);
  EXPECT_EQ(stage.instrumental().frames(), 30000);
}

TEST_F(Events, EosKeepsItsSeqnumAndFollowsTheTail) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(12345), GST_FLOW_OK);
  GstEvent* eos = gst_event_new_eos();
  gst_event_set_seqnum(eos, 4242);
  ASSERT_TRUE(stage.send(eos));
  for (const Recorder* pad : {&stage.vocals(), &stage.instrumental()}) {
    ASSERT_TRUE(pad->wait_for(GST_EVENT_EOS));
    EXPECT_EQ(pad->entries().back().type, GST_EVENT_EOS);
    EXPECT_EQ(pad->entries().back().seqnum, 4242U);
    EXPECT_EQ(pad->frames(), 12345);
  }
}

TEST_F(Events, DataAfterEosIsRefusedUntilANewStream) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(1000), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.push_noise(1000), GST_FLOW_EOS);
  ASSERT_TRUE(stage.send(gst_event_new_stream_start("again")));
  ASSERT_TRUE(stage.send_segment(0));
  ASSERT_EQ(stage.push_at(noise(2000), 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 2000);
  EXPECT_EQ(stage.instrumental().frames(), 2000);
}

TEST_F(Events, SeekFromBothPadsGoesUpstreamOnce) {
  Stage stage;
  stage.start();
  GstEvent* seek = gst_event_new_seek(1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                                      GST_SEEK_TYPE_NONE, 0);
  for (const char* name : {"vocals", "instrumental"}) {
    GstPad* pad = gst_element_get_static_pad(stage.element(), name);
    gst_pad_send_event(pad, gst_event_ref(seek));
    gst_object_unref(pad);
  }
  gst_event_unref(seek);
  int seeks = 0;
  while (GstEvent* event = gst_harness_try_pull_upstream_event(stage.harness())) {
    seeks += GST_EVENT_TYPE(event) == GST_EVENT_SEEK ? 1 : 0;
    gst_event_unref(event);
  }
  EXPECT_EQ(seeks, 1);
}

TEST_F(Events, DrainQuerySucceedsAndAllocationIsNotForwarded) {
  Stage stage;
  stage.start();
  GstQuery* query = gst_query_new_drain();
  EXPECT_TRUE(gst_pad_peer_query(stage.harness()->srcpad, query));
  gst_query_unref(query);
  const Owned<GstCaps> caps(gst_pad_get_current_caps(stage.harness()->srcpad));
  query = gst_query_new_allocation(caps.get(), TRUE);
  EXPECT_FALSE(gst_pad_peer_query(stage.harness()->srcpad, query));
  gst_query_unref(query);
}

// Upstream is offered what the sinks of both pads take.
TEST_F(Events, CapsAreThoseThatBothPadsCanPass) {
  const Owned<GstElement> pipeline(
      gst_parse_launch("bsmamba2sep name=s s.vocals ! audio/x-raw,channels=1 ! fakesink"
                       " s.instrumental ! audio/x-raw ! fakesink",
                       nullptr));
  const std::unique_ptr<GstElement, decltype(&gst_object_unref)> element(
      gst_bin_get_by_name(GST_BIN(pipeline.get()), "s"), gst_object_unref);
  GstPad* sink = gst_element_get_static_pad(element.get(), "sink");
  const Owned<GstCaps> caps(gst_pad_query_caps(sink, nullptr));
  gint channels = 0;
  EXPECT_TRUE(gst_structure_get_int(gst_caps_get_structure(caps.get(), 0), "channels", &channels));
  EXPECT_EQ(channels, 1);
  gst_object_unref(sink);
}

TEST_F(Events, CapsWithoutChannelMaskAreAccepted) {
  Stage stage;
  for (const char* text :
       {"audio/x-raw,format=" GST_AUDIO_NE(F32) ",rate=44100,layout=interleaved,channels=2",
        "audio/x-raw,format=" GST_AUDIO_NE(
            F32) ",rate=44100,layout=interleaved,channels=2,channel-mask=(bitmask)0x3"}) {
    const Owned<GstCaps> caps(gst_caps_from_string(text));
    EXPECT_TRUE(gst_pad_peer_query_accept_caps(stage.harness()->srcpad, caps.get())) << text;
  }
  for (const char* text :
       {"audio/x-raw,format=" GST_AUDIO_NE(F32) ",rate=48000,layout=interleaved,channels=2",
        "audio/x-raw,format=" GST_AUDIO_NE(S16) ",rate=44100,layout=interleaved,channels=2",
        "audio/x-raw,format=" GST_AUDIO_NE(F32) ",rate=44100,layout=interleaved,channels=6"}) {
    const Owned<GstCaps> caps(gst_caps_from_string(text));
    EXPECT_FALSE(gst_pad_peer_query_accept_caps(stage.harness()->srcpad, caps.get())) << text;
  }
}

}  // namespace
}  // namespace bsm::test
