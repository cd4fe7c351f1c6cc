// The bin that is an audio filter: any format in and out, `level`, inside a player.
#include "harness.h"

namespace bsm::test {
namespace {

class VocalRemover : public ElementTest {
 protected:
  void SetUp() override {
    ElementTest::SetUp();
    g_setenv("GST_BSMAMBA2SEP_MODEL", any_model_file().c_str(), TRUE);
  }
  void TearDown() override {
    g_setenv("GST_BSMAMBA2SEP_MODEL", "", TRUE);
    ElementTest::TearDown();
  }
};

void run_to_eos(GstElement* pipeline) {
  const Owned<GstBus> bus(gst_element_get_bus(pipeline));
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  const Owned<GstMessage> end(gst_bus_timed_pop_filtered(
      bus.get(), 20 * GST_SECOND, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR)));
  ASSERT_TRUE(end);
  ASSERT_EQ(GST_MESSAGE_TYPE(end.get()), GST_MESSAGE_EOS) << parse_error(end.get()).text;
}

TEST_F(VocalRemover, LevelIsHowMuchOfTheVoiceGoes) {
  for (const float level : {0.0F, 0.4F, 1.0F}) {
    const Owned<GstElement> remover(
        GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("vocalremover", nullptr))));
    gfloat read = 9.0F;
    g_object_get(remover.get(), "level", &read, nullptr);
    EXPECT_EQ(read, 1.0F) << "the default";
    g_object_set(remover.get(), "level", level, nullptr);
    g_object_get(remover.get(), "level", &read, nullptr);
    EXPECT_FLOAT_EQ(read, level);
    const Owned<GstHarness> h(gst_harness_new_with_element(remover.get(), "sink", "src"));
    gst_harness_set_live(h.get(), FALSE);
    gst_harness_set_src_caps_str(
        h.get(), "audio/x-raw,format=" GST_AUDIO_NE(F32) ",rate=44100,layout=interleaved,channels=2");
    ASSERT_EQ(gst_harness_push(h.get(), make_buffer(std::vector<float>(88200, 1.0F), 2, 0)), GST_FLOW_OK);
    ASSERT_TRUE(gst_harness_push_event(h.get(), gst_event_new_eos()));
    GstBuffer* buffer = gst_harness_pull(h.get());
    ASSERT_TRUE(buffer);
    float first = 0.0F;
    gst_buffer_extract(buffer, 0, &first, sizeof first);
    gst_buffer_unref(buffer);
    EXPECT_NEAR(first, 1.0F - 0.25F * level, 1e-6F);
  }
}

TEST_F(VocalRemover, BypassLeavesTheSoundAsItIs) {
  const Owned<GstElement> remover(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("vocalremover", nullptr))));
  g_object_set(remover.get(), "bypass", TRUE, nullptr);
  gboolean bypass = FALSE;
  g_object_get(remover.get(), "bypass", &bypass, nullptr);
  EXPECT_TRUE(bypass);
  const Owned<GstHarness> h(gst_harness_new_with_element(remover.get(), "sink", "src"));
  gst_harness_set_live(h.get(), FALSE);
  gst_harness_set_src_caps_str(
      h.get(), "audio/x-raw,format=" GST_AUDIO_NE(F32) ",rate=44100,layout=interleaved,channels=2");
  const std::vector<float> input = noise(2 * 44100);
  ASSERT_EQ(gst_harness_push(h.get(), make_buffer(input, 2, 0)), GST_FLOW_OK);
  ASSERT_TRUE(gst_harness_push_event(h.get(), gst_event_new_eos()));
  size_t done = 0;
  while (done < input.size()) {
    GstBuffer* buffer = gst_harness_pull(h.get());
    ASSERT_TRUE(buffer);
    EXPECT_EQ(gst_buffer_memcmp(buffer, 0, &input[done], gst_buffer_get_size(buffer)), 0);
    done += gst_buffer_get_size(buffer) / sizeof(float);
    gst_buffer_unref(buffer);
  }
  EXPECT_EQ(engine().inferences, 0);
}

TEST_F(VocalRemover, TakesAndGivesAnyFormat) {
  for (const char* caps :
       {"audio/x-raw,format=S16LE,rate=48000,channels=2", "audio/x-raw,format=S24LE,rate=8000,channels=1",
        "audio/x-raw,format=F64LE,rate=96000,channels=2,channel-mask=(bitmask)0x3"}) {
    const std::string line =
        std::string("audiotestsrc num-buffers=20 ! ") + caps + " ! vocalremover ! " + caps + " ! fakesink";
    const Owned<GstElement> pipeline(gst_parse_launch(line.c_str(), nullptr));
    ASSERT_TRUE(pipeline) << caps;
    run_to_eos(pipeline.get());
  }
}

TEST_F(VocalRemover, SaysWhichElementIsMissing) {
  GstRegistry* registry = gst_registry_get();
  GstPluginFeature* feature = gst_registry_lookup_feature(registry, "audioresample");
  ASSERT_TRUE(feature);
  gst_registry_remove_feature(registry, feature);
  const Owned<GstElement> remover(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("vocalremover", nullptr))));
  gst_registry_add_feature(registry, feature);
  const Owned<GstBus> bus(gst_bus_new());
  gst_element_set_bus(remover.get(), bus.get());
  EXPECT_EQ(gst_element_set_state(remover.get(), GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  const BusError error = wait_error(bus.get());
  EXPECT_EQ(error.domain, GST_CORE_ERROR);
  EXPECT_EQ(error.code, GST_CORE_ERROR_MISSING_PLUGIN);
  EXPECT_NE(error.text.find("audioresample"), std::string::npos) << error.text;
  gst_element_set_bus(remover.get(), nullptr);
}

TEST_F(VocalRemover, ChildPropertiesAreReachable) {
  const Owned<GstElement> remover(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("vocalremover", nullptr))));
  gst_child_proxy_set(GST_CHILD_PROXY(remover.get()), "separator::latency", 800 * GST_MSECOND, nullptr);
  guint64 latency = 0;
  gst_child_proxy_get(GST_CHILD_PROXY(remover.get()), "separator::latency", &latency, nullptr);
  EXPECT_EQ(latency, 800 * GST_MSECOND);
}

TEST_F(VocalRemover, ReportsTheLatencyOfItsSeparator) {
  const Owned<GstElement> remover(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("vocalremover", nullptr))));
  const Owned<GstHarness> h(gst_harness_new_with_element(remover.get(), "sink", "src"));
  guint64 latency = 0;
  gst_child_proxy_get(GST_CHILD_PROXY(remover.get()), "separator::latency", &latency, nullptr);
  EXPECT_GE(gst_harness_query_latency(h.get()), latency);
}

// playbin3 stops a film whose sound needs more than 0.6 s in advance; at half speed that is 0.3 s of sound.
TEST_F(VocalRemover, NeedsNoMoreSoundInAdvanceThanAPlayerGives) {
  const Owned<GstElement> remover(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("vocalremover", nullptr))));
  const Owned<GstHarness> h(gst_harness_new_with_element(remover.get(), "sink", "src"));
  gst_harness_set_live(h.get(), FALSE);
  gst_harness_set_src_caps_str(
      h.get(), "audio/x-raw,format=" GST_AUDIO_NE(F32) ",rate=44100,layout=interleaved,channels=2");
  int64_t pushed = 0, left = 0;
  while (pushed < 2 * kRateHz) {
    ASSERT_EQ(gst_harness_push(h.get(), make_buffer(std::vector<float>(882, 0.5F), 2, ns(pushed))),
              GST_FLOW_OK);
    pushed += 441;
    while (left < pushed - 3 * kRateHz / 10) {
      GstBuffer* buffer = gst_harness_pull(h.get());
      ASSERT_TRUE(buffer) << left << " of " << pushed << " samples have left";
      left += static_cast<int64_t>(gst_buffer_get_size(buffer)) / 8;
      gst_buffer_unref(buffer);
    }
  }
}

TEST_F(VocalRemover, IsAnAudioFilterOfAPlayer) {
  others_leak_ = true;
  gchar* folder = g_dir_make_tmp("bsm-XXXXXX", nullptr);
  const std::string path = std::string(folder) + "/tone.wav";
  const Owned<GstElement> writer(gst_parse_launch(
      ("audiotestsrc num-buffers=30 ! audio/x-raw,rate=48000,channels=2 ! wavenc ! filesink location=" + path)
          .c_str(),
      nullptr));
  run_to_eos(writer.get());
  const Owned<GstElement> player(gst_parse_launch(
      ("playbin uri=file://" + path + " audio-filter=vocalremover audio-sink=fakesink video-sink=fakesink")
          .c_str(),
      nullptr));
  ASSERT_TRUE(player);
  run_to_eos(player.get());
  EXPECT_GE(engine().model_opens, 1);  // on a busy machine a player may start its filter twice
  remove(path.c_str());
  remove(folder);
  g_free(folder);
}

}  // namespace
}  // namespace bsm::test
