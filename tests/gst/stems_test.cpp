// Models with more stems than the voice: request pads named by number, streams named by the model.
#include "harness.h"

namespace bsm::test {
namespace {

class Stems : public ElementTest {
 protected:
  void SetUp() override {
    ElementTest::SetUp();
    engine().stems = 4;
  }
};

struct Requested {
  Requested(GstElement* of, const char* name) : element(of), pad(gst_element_request_pad_simple(of, name)) {}
  ~Requested() {
    if (!pad) return;
    gst_element_release_request_pad(element, pad);
    gst_object_unref(pad);
  }
  Requested(const Requested&) = delete;
  Requested& operator=(const Requested&) = delete;
  GstElement* element;
  GstPad* pad;
};

std::string stream_id(GstPad* pad) {
  gchar* id = gst_pad_get_stream_id(pad);
  const std::string result = id ? id : "";
  g_free(id);
  return result;
}

TEST_F(Stems, EachPadCarriesItsStem) {
  engine().voice = 2;
  Stage stage({{"latency", "200000000"}});
  gst_element_set_state(stage.element(), GST_STATE_READY);
  const Requested drums(stage.element(), "stem_0"), voice(stage.element(), "stem_2");
  ASSERT_TRUE(drums.pad && voice.pad);
  Recorder drum_data(drums.pad), voice_data(voice.pad);
  gst_element_set_state(stage.element(), GST_STATE_PLAYING);
  ASSERT_TRUE(stage.send(gst_event_new_stream_start("song")));
  stage.start();
  const std::vector<float> input(100000, 1.0F);
  ASSERT_EQ(stage.push_at(input, 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  ASSERT_TRUE(drum_data.wait_for(GST_EVENT_EOS));
  ASSERT_TRUE(voice_data.wait_for(GST_EVENT_EOS));
  EXPECT_EQ(drum_data.samples(), std::vector<float>(input.size(), 0.25F));
  EXPECT_EQ(voice_data.samples(), stage.vocals().samples());
  EXPECT_EQ(stage.instrumental().samples(), std::vector<float>(input.size(), 0.75F));
  expect_perfect(drum_data.buffers(), stage.vocals().buffers());
  EXPECT_EQ(drum_data.order(), "stream-start caps segment buffer eos");
  EXPECT_EQ(stream_id(drums.pad), "song/stem_0/drums");
  EXPECT_EQ(stream_id(voice.pad), "song/stem_2/vocals");
}

TEST_F(Stems, NamesAreAPropertyOnceTheModelIsLoaded) {
  engine().block_open = true;
  Stage stage;
  std::atomic<int> notified = 0;
  const gulong id = g_signal_connect(
      stage.element(), "notify::stem-names",
      G_CALLBACK(+[](GObject*, GParamSpec*, gpointer n) { ++*static_cast<std::atomic<int>*>(n); }),
      &notified);
  engine().block_open = false;
  ASSERT_TRUE(eventually([&] {
    GValue names = G_VALUE_INIT;
    g_value_init(&names, GST_TYPE_ARRAY);
    g_object_get_property(G_OBJECT(stage.element()), "stem-names", &names);
    std::string all;
    for (guint i = 0; i < gst_value_array_get_size(&names); ++i)
      all += std::string(g_value_get_string(gst_value_array_get_value(&names, i))) + " ";
    g_value_unset(&names);
    return all == "vocals drums bass guitar ";
  }));
  EXPECT_TRUE(eventually([&] { return notified == 1; }));
  g_signal_handler_disconnect(stage.element(), id);
}

TEST_F(Stems, RequestedWhilePlayingStartsWithTheStreamsEvents) {
  Stage stage({{"latency", "200000000"}});
  stage.start();
  for (int i = 0; i < 20; ++i) ASSERT_EQ(stage.push_noise(4410), GST_FLOW_OK);
  ASSERT_TRUE(stage.vocals().wait_frames(50000));
  const Owned<GstHarness> late(gst_harness_new_with_element(stage.element(), nullptr, "stem_0"));
  for (int i = 0; i < 20; ++i) ASSERT_EQ(stage.push_noise(4410), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  GstBuffer* first = gst_harness_pull(late.get());
  ASSERT_TRUE(first);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(first, GST_BUFFER_FLAG_DISCONT));
  gst_buffer_unref(first);
  GstCaps* caps = gst_pad_get_current_caps(late->sinkpad);
  EXPECT_TRUE(caps);
  gst_clear_caps(&caps);
}

TEST_F(Stems, ComeAndGoWhilePlaying) {
  Stage stage({{"latency", "100000000"}});
  stage.start();
  for (int i = 0; i < 60; ++i) {
    const Requested a(stage.element(), "stem_1"), b(stage.element(), "stem_%u");
    ASSERT_TRUE(a.pad && b.pad);
    ASSERT_EQ(stage.push_noise(2000), GST_FLOW_OK);
  }
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 120000);
}

/// As a change to PAUSED does that meets a pad on its way out: while it is unlinked it is still the
/// element's.
void activate(GstPad* pad, GstPad*, gpointer) { gst_pad_set_active(pad, TRUE); }

TEST_F(Stems, AReleasedPadIsNotStartedAgain) {
  Stage stage({{"latency", "100000000"}});
  stage.start();
  const Owned<GstPad> pad(gst_element_request_pad_simple(stage.element(), "stem_0"));
  ASSERT_TRUE(pad);
  const Owned<GstElement> sink(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("fakesink", nullptr))));
  const Owned<GstPad> sink_pad(gst_element_get_static_pad(sink.get(), "sink"));
  ASSERT_EQ(gst_pad_link(pad.get(), sink_pad.get()), GST_PAD_LINK_OK);
  const gulong id = g_signal_connect(pad.get(), "unlinked", G_CALLBACK(activate), nullptr);
  gst_element_release_request_pad(stage.element(), pad.get());
  g_signal_handler_disconnect(pad.get(), id);
  EXPECT_NE(gst_pad_get_task_state(pad.get()), GST_TASK_STARTED);
  ASSERT_EQ(stage.push_noise(10000), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
}

TEST_F(Stems, WhatTheModelDoesNotHaveIsRefused) {
  Stage stage;
  ASSERT_TRUE(stage.wait_loaded());
  ASSERT_TRUE(eventually([&] {
    const Requested there(stage.element(), "stem_3"), beyond(stage.element(), "stem_4");
    return there.pad && !beyond.pad;
  }));
  const Requested too_far(stage.element(), "stem_16");
  EXPECT_FALSE(too_far.pad);
}

TEST_F(Stems, AModelWithoutTheRequestedStemIsAnError) {
  Stage stage;
  gst_element_set_state(stage.element(), GST_STATE_READY);
  const Requested beyond(stage.element(), "stem_9");
  ASSERT_TRUE(beyond.pad);
  gst_element_set_state(stage.element(), GST_STATE_PLAYING);
  const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
  EXPECT_EQ(error.domain, GST_RESOURCE_ERROR);
  EXPECT_EQ(error.code, GST_RESOURCE_ERROR_SETTINGS);
  EXPECT_NE(error.text.find("stem_9"), std::string::npos) << error.text;
}

TEST_F(Stems, BypassSilencesThem) {
  Stage stage({{"bypass", "true"}});
  const Requested drums(stage.element(), "stem_1");
  Recorder data(drums.pad);
  stage.start();
  ASSERT_EQ(stage.push(std::vector<float>(50000, 1.0F)), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  ASSERT_TRUE(data.wait_for(GST_EVENT_EOS));
  EXPECT_EQ(data.samples(), std::vector<float>(50000, 0.0F));
}

}  // namespace
}  // namespace bsm::test
