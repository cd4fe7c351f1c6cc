// Properties: defaults, ranges, when they may change; statistics and the device in use.
#include "harness.h"

#include <cstring>

namespace bsm::test {
namespace {

class Properties : public ElementTest {};

template <typename T>
T get(GstElement* element, const char* name) {
  T value{};
  g_object_get(element, name, &value, nullptr);
  return value;
}

TEST_F(Properties, Defaults) {
  const Owned<GstElement> element(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("bsmamba2sep", nullptr))));
  guint count = 0;
  GParamSpec** specs = g_object_class_list_properties(G_OBJECT_GET_CLASS(element.get()), &count);
  int own = 0;
  for (guint i = 0; i < count; ++i) {
    if (specs[i]->owner_type != G_OBJECT_TYPE(element.get()) || !(specs[i]->flags & G_PARAM_WRITABLE))
      continue;
    ++own;
    GValue value = G_VALUE_INIT;
    g_value_init(&value, specs[i]->value_type);
    g_object_get_property(G_OBJECT(element.get()), specs[i]->name, &value);
    EXPECT_TRUE(g_param_value_defaults(specs[i], &value)) << specs[i]->name;
    EXPECT_TRUE(specs[i]->flags & GST_PARAM_MUTABLE_READY) << specs[i]->name;
    g_value_unset(&value);
  }
  g_free(specs);
  EXPECT_EQ(own, 10);
}

TEST_F(Properties, KeepWhatIsSet) {
  const Owned<GstElement> element(
      GST_ELEMENT(gst_object_ref_sink(make_element({{"device", "cuda:1"},
                                                    {"precision", "bf16"},
                                                    {"threads", "3"},
                                                    {"latency", "500000000"},
                                                    {"lookahead", "100000000"},
                                                    {"hop-duration", "200000000"},
                                                    {"context-duration", "4000000000"},
                                                    {"streaming-mode", "rolling"},
                                                    {"processing-latency", "30000000"}}))));
  gchar* device = get<gchar*>(element.get(), "device");
  EXPECT_STREQ(device, "cuda:1");
  g_free(device);
  EXPECT_EQ(get<gint>(element.get(), "precision"), BSM_PRECISION_BF16);
  EXPECT_EQ(get<guint>(element.get(), "threads"), 3U);
  EXPECT_EQ(get<guint64>(element.get(), "latency"), 500 * GST_MSECOND);
  EXPECT_EQ(get<gint64>(element.get(), "lookahead"), 100000000);
  EXPECT_EQ(get<gint64>(element.get(), "hop-duration"), 200000000);
  EXPECT_EQ(get<guint64>(element.get(), "context-duration"), 4 * GST_SECOND);
  EXPECT_EQ(get<gint>(element.get(), "streaming-mode"), BSM_STREAMING_ROLLING);
  EXPECT_EQ(get<gint64>(element.get(), "processing-latency"), 30000000);
}

TEST_F(Properties, ContextReachesTheEngine) {
  Stage stage({{"context-duration", "2000000000"}, {"streaming-mode", "rolling"}});
  stage.start();
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().context_samples, 88200);
}

TEST_F(Properties, CurrentDeviceIsKnownAndNotifiedAfterLoading) {
  engine().block_open = true;
  Stage stage;
  EXPECT_EQ(get<gchar*>(stage.element(), "current-device"), nullptr);
  std::atomic<int> notified = 0;
  const gulong id = g_signal_connect(
      stage.element(), "notify::current-device",
      G_CALLBACK(+[](GObject*, GParamSpec*, gpointer n) { ++*static_cast<std::atomic<int>*>(n); }),
      &notified);
  engine().block_open = false;
  ASSERT_TRUE(eventually([&] { return notified == 1; }));
  gchar* device = get<gchar*>(stage.element(), "current-device");
  EXPECT_STREQ(device, "fake");
  g_free(device);
  g_signal_handler_disconnect(stage.element(), id);
}

TEST_F(Properties, StatisticsCount) {
  engine().inference_ms = 2;
  Stage stage({{"hop-duration", "100000000"}, {"lookahead", "0"}, {"processing-latency", "5000000"}});
  stage.start();
  ASSERT_EQ(stage.push_noise(44100), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  const Owned<GstStructure> stats(get<GstStructure*>(stage.element(), "stats"));
  ASSERT_STREQ(gst_structure_get_name(stats.get()), "application/x-bsmamba2sep-stats");
  guint64 processed = 0, inferences = 0, discontinuities = 9, last = 0, max = 0, avg = 0, queued = 9,
          latency = 0;
  gdouble rtf = 0;
  ASSERT_TRUE(gst_structure_get(
      stats.get(), "processed", G_TYPE_UINT64, &processed, "inferences", G_TYPE_UINT64, &inferences,
      "discontinuities", G_TYPE_UINT64, &discontinuities, "infer-time-last", G_TYPE_UINT64, &last,
      "infer-time-max", G_TYPE_UINT64, &max, "infer-time-avg", G_TYPE_UINT64, &avg, "queued", G_TYPE_UINT64,
      &queued, "latency", G_TYPE_UINT64, &latency, "rtf-avg", G_TYPE_DOUBLE, &rtf, nullptr));
  EXPECT_EQ(processed, 44100U);
  EXPECT_EQ(inferences, 9U);  // (44100 - 4410 - 1607) / 4410 hops and one more; the tail is a finish
  EXPECT_EQ(discontinuities, 0U);
  EXPECT_GE(last, 2 * GST_MSECOND);
  EXPECT_GE(max, avg);
  EXPECT_GT(rtf, 0.02);
  EXPECT_EQ(queued, 0U);
  EXPECT_EQ(latency, gst_util_uint64_scale_ceil(4410 + 1607, GST_SECOND, kRateHz) + 5 * GST_MSECOND);
  EXPECT_STREQ(gst_structure_get_string(stats.get(), "device"), "fake");
}

}  // namespace
}  // namespace bsm::test
