// Properties: defaults, ranges, when they may change; statistics and the device in use.
#include <glib/gstdio.h>

#include <clocale>
#include <cstdlib>
#include <cstring>

#include "harness.h"

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
    g_value_unset(&value);
  }
  g_free(specs);
  EXPECT_EQ(own, 22);
}

// Exactly so, whatever else is added: [name, mutable in, controllable].
TEST_F(Properties, SayWhenTheyMayChange) {
  const Owned<GstElement> element(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("bsmamba2sep", nullptr))));
  const std::string playing =
      "overload-policy bypass vocals-gain instrumental-gain guide-level silence-skip post-messages interval ";
  const std::string controlled = "vocals-gain instrumental-gain guide-level ";
  const std::string read_only = "current-device stem-names stats ";
  guint count = 0;
  GParamSpec** specs = g_object_class_list_properties(G_OBJECT_GET_CLASS(element.get()), &count);
  for (guint i = 0; i < count; ++i) {
    if (specs[i]->owner_type != G_OBJECT_TYPE(element.get())) continue;
    const std::string name = std::string(specs[i]->name) + " ";
    const auto is_in = [&](const std::string& list) {
      return (" " + list).find(" " + name) != std::string::npos;
    };
    const auto has = [&](guint flag) { return (specs[i]->flags & flag) != 0; };
    EXPECT_EQ(has(GST_PARAM_MUTABLE_PLAYING), is_in(playing)) << name;
    EXPECT_EQ(has(GST_PARAM_CONTROLLABLE), is_in(controlled)) << name;
    EXPECT_EQ(has(G_PARAM_WRITABLE), !is_in(read_only)) << name;
    EXPECT_EQ(has(GST_PARAM_MUTABLE_READY), !is_in(read_only) && !is_in(playing)) << name;
    const std::string blurb = g_param_spec_get_blurb(specs[i]);
    const bool is_time = specs[i]->value_type == G_TYPE_UINT64 || specs[i]->value_type == G_TYPE_INT64;
    EXPECT_EQ(blurb.find("(ns") != std::string::npos, is_time) << "times are in ns, and say so: " << name;
    EXPECT_EQ(blurb.find("(linear)") != std::string::npos, specs[i]->value_type == G_TYPE_DOUBLE) << name;
  }
  g_free(specs);
}

TEST_F(Properties, PresetsAreFoundAndLoad) {
  const Owned<GstElement> element(
      GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("bsmamba2sep", nullptr))));
  const std::unique_ptr<gchar*, void (*)(gchar**)> names(
      gst_preset_get_preset_names(GST_PRESET(element.get())), g_strfreev);
  ASSERT_TRUE(names) << "GST_PRESET_PATH must name the folder of GstBsMamba2Sep.prs";
  EXPECT_EQ(g_strv_length(names.get()), 3U);
  const auto load = [&](const char* name) {
    ASSERT_TRUE(gst_preset_load_preset(GST_PRESET(element.get()), name)) << name;
  };
  load("low latency");
  EXPECT_EQ(get<guint64>(element.get(), "latency"), 300 * GST_MSECOND);
  load("quality");
  gchar* mode = nullptr;
  GValue value = G_VALUE_INIT;
  g_value_init(&value, g_object_class_find_property(G_OBJECT_GET_CLASS(element.get()), "mode")->value_type);
  g_object_get_property(G_OBJECT(element.get()), "mode", &value);
  mode = gst_value_serialize(&value);
  EXPECT_STREQ(mode, "offline");
  g_free(mode);
  // The balanced one is the defaults.
  load("balanced");
  for (const char* name : {"latency", "lookahead", "hop-duration", "streaming-mode", "mode"}) {
    GParamSpec* spec = g_object_class_find_property(G_OBJECT_GET_CLASS(element.get()), name);
    g_value_unset(&value);
    g_value_init(&value, spec->value_type);
    g_object_get_property(G_OBJECT(element.get()), name, &value);
    EXPECT_TRUE(g_param_value_defaults(spec, &value)) << name;
  }
  g_value_unset(&value);
}

// A host that writes numbers with a decimal comma: launch lines and presets still have points.
TEST_F(Properties, LocaleOfTheHostDoesNotMatter) {
  const std::string folder = ::testing::TempDir() + "bsm-locale";
  g_mkdir_with_parents(folder.c_str(), 0700);
  const std::string command = "localedef -f UTF-8 -i de_DE " + folder + "/de_DE.UTF-8 2>/dev/null";
  if (!setlocale(LC_ALL, "de_DE.UTF-8")) {
    if (std::system(command.c_str()) != 0) GTEST_SKIP() << "no localedef";
    g_setenv("LOCPATH", folder.c_str(), TRUE);
    if (!setlocale(LC_ALL, "de_DE.UTF-8")) GTEST_SKIP() << "no locale de_DE.UTF-8";
  }
  ASSERT_STREQ(localeconv()->decimal_point, ",");
  const Owned<GstElement> element(gst_parse_launch(
      "bsmamba2sep vocals-gain=0.25 guide-level=0.5 ! vocalremover level=0.75 name=r", nullptr));
  const Owned<GstElement> remover(gst_bin_get_by_name(GST_BIN(element.get()), "r"));
  EXPECT_EQ(get<gfloat>(remover.get(), "level"), 0.75F);
  const Owned<GstElement> separator(GST_ELEMENT(gst_object_ref_sink(make_element({{"guide-level", "0.5"}}))));
  EXPECT_EQ(get<gdouble>(separator.get(), "guide-level"), 0.5);
  EXPECT_TRUE(gst_preset_load_preset(GST_PRESET(separator.get()), "low latency"));
  EXPECT_EQ(get<guint64>(separator.get(), "latency"), 300 * GST_MSECOND);
  setlocale(LC_ALL, "C");
}

TEST_F(Properties, WhatTheEngineShouldDoReachesIt) {
  Stage stage({{"threads", "3"}, {"precision", "bf16"}, {"streaming-mode", "rolling"}});
  stage.start();
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().threads, 3U);
  EXPECT_EQ(engine().precision, BSM_PRECISION_BF16);
  EXPECT_EQ(engine().streaming_mode, BSM_STREAMING_ROLLING);
}

TEST_F(Properties, ShareModelReachesTheEngine) {
  for (const char* share : {"true", "false"}) {
    Stage stage({{"share-model", share}});
    ASSERT_TRUE(stage.wait_loaded());
    EXPECT_EQ(engine().share, share == std::string("true") ? 1 : 0);
    gst_element_set_state(stage.element(), GST_STATE_NULL);
    ASSERT_TRUE(eventually([] { return engine().open_models == 0; }));
  }
}

// Of the shipped models one is for GPUs; a file that the user names is for every device.
TEST_F(Properties, ShippedModelDependsOnTheDevice) {
  gchar* folder = g_dir_make_tmp("bsm-XXXXXX", nullptr);
  const std::string live = std::string(folder) + "/bsmamba2-live.safetensors",
                    base = std::string(folder) + "/bsmamba2-base.safetensors";
  g_setenv("BSMAMBA2_MODEL_DIR", folder, TRUE);
  const auto loads_another_on_a_gpu = [](const std::string& model_file) {
    Stage stage({{"model-file", model_file}});
    EXPECT_TRUE(stage.wait_loaded());
    const bool result = engine().gpu_model;
    gst_element_set_state(stage.element(), GST_STATE_NULL);
    EXPECT_TRUE(eventually([] { return engine().open_models == 0; }));
    return result;
  };
  ASSERT_TRUE(g_file_set_contents(live.c_str(), "x", 1, nullptr));
  EXPECT_FALSE(loads_another_on_a_gpu(""));
  ASSERT_TRUE(g_file_set_contents(base.c_str(), "x", 1, nullptr));
  EXPECT_TRUE(loads_another_on_a_gpu(""));
  EXPECT_FALSE(loads_another_on_a_gpu(live));
  g_unsetenv("BSMAMBA2_MODEL_DIR");
  g_remove(live.c_str());
  g_remove(base.c_str());
  g_rmdir(folder);
  g_free(folder);
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

// What may change in READY may be set at any time, and counts from the next READY->PAUSED on.
TEST_F(Properties, SetWhilePlayingCountAtTheNextStart) {
  Stage stage({{"hop-duration", "100000000"}, {"lookahead", "0"}});
  stage.start();
  g_object_set(stage.element(), "hop-duration", gint64{200000000}, nullptr);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().hop_samples, 4410);
  gst_element_set_state(stage.element(), GST_STATE_READY);
  gst_element_set_state(stage.element(), GST_STATE_PLAYING);
  ASSERT_TRUE(stage.send(gst_event_new_stream_start("second")));
  stage.start();
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().hop_samples, 8820);
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
