// Faults of the machine: a GPU that is full, a model file that goes away, threads that must not wait for the
// engine.
#include <glib/gstdio.h>

#include "harness.h"

namespace bsm::test {
namespace {

class Faults : public ElementTest {};

TEST_F(Faults, FullGpuMeansTheCpuWhenTheDeviceIsAuto) {
  for (const bool at_open : {true, false}) {
    engine().restore();
    (at_open ? engine().small_gpu_at_open : engine().small_gpu_at_stream_open) = true;
    Stage stage({{"precision", "bf16"}});
    stage.start();
    ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    EXPECT_EQ(stage.vocals().frames(), 30000);
    gchar* device = nullptr;
    g_object_get(stage.element(), "current-device", &device, nullptr);
    EXPECT_STREQ(device, "cpu");
    g_free(device);
    const auto warning = stage.message(GST_MESSAGE_WARNING, std::chrono::milliseconds(0));
    ASSERT_TRUE(warning);
    GError* error = nullptr;
    gst_message_parse_warning(warning.get(), &error, nullptr);
    const Owned<GError> owned(error);
    EXPECT_EQ(error->domain, GST_RESOURCE_ERROR);
    EXPECT_EQ(error->code, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    EXPECT_NE(std::string(error->message).find("CPU"), std::string::npos) << error->message;
    EXPECT_FALSE(stage.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
  }
}

TEST_F(Faults, FullGpuIsAnErrorWhenItWasNamed) {
  for (const bool at_open : {true, false}) {
    engine().restore();
    (at_open ? engine().small_gpu_at_open : engine().small_gpu_at_stream_open) = true;
    Stage stage({{"device", "cuda:0"}});
    stage.start();
    const BusError error = parse_error(stage.message(GST_MESSAGE_ERROR).get());
    EXPECT_EQ(error.domain, GST_RESOURCE_ERROR);
    EXPECT_EQ(error.code, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    EXPECT_FALSE(stage.message(GST_MESSAGE_WARNING, std::chrono::milliseconds(0)));
  }
}

// Memory that runs out while playing is an error: what was promised as latency no longer holds on another
// device.
TEST_F(Faults, MemoryThatRunsOutWhilePlayingIsAnError) {
  engine().fail_at_inference = 2;
  engine().fault = fake::Fault::kStatusOutOfMemory;
  Stage stage({{"latency", "200000000"}});
  stage.start();
  EXPECT_TRUE(eventually([&] { return stage.push_noise(2000) == GST_FLOW_ERROR; }));
  EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).code, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
}

TEST_F(Faults, ModelFileThatGoesAwayWhilePlayingDoesNotMatterUntilTheNextStart) {
  gchar* folder = g_dir_make_tmp("bsm-XXXXXX", nullptr);
  const std::string path = std::string(folder) + "/model.safetensors";
  ASSERT_TRUE(g_file_set_contents(path.c_str(), "x", 1, nullptr));
  {
    Stage stage({{"model-file", path}});
    stage.start();
    ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
    ASSERT_TRUE(stage.wait_loaded());
    g_remove(path.c_str());
    ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
    ASSERT_TRUE(stage.finish());
    EXPECT_EQ(stage.vocals().frames(), 60000);
    gst_element_set_state(stage.element(), GST_STATE_NULL);
    EXPECT_EQ(gst_element_set_state(stage.element(), GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
    EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).code, GST_RESOURCE_ERROR_NOT_FOUND);
  }
  g_rmdir(folder);
  g_free(folder);
}

// The file goes between READY, which checks it, and the load.
TEST_F(Faults, ModelFileThatGoesAwayBeforeTheLoadIsAnError) {
  engine().open_status = BSM_ERROR_NOT_FOUND;
  Stage stage;
  EXPECT_EQ(parse_error(stage.message(GST_MESSAGE_ERROR).get()).code, GST_RESOURCE_ERROR_NOT_FOUND);
}

// Elements of one process fail alone.
TEST_F(Faults, OneElementsFailureIsNotTheOthers) {
  Stage good({{"latency", "200000000"}});
  good.start();
  ASSERT_EQ(good.push_noise(20000), GST_FLOW_OK);
  ASSERT_TRUE(good.wait_loaded());
  engine().open_status = BSM_ERROR_WRONG_TYPE;
  Stage bad;
  EXPECT_EQ(parse_error(bad.message(GST_MESSAGE_ERROR).get()).domain, GST_STREAM_ERROR);
  ASSERT_EQ(good.push_noise(20000), GST_FLOW_OK);
  ASSERT_TRUE(good.finish());
  EXPECT_EQ(good.vocals().frames(), 40000);
  EXPECT_FALSE(good.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
}

/// What the engine is doing when something must not wait for it.
enum class Busy { kLoading, kWarmingUp, kInferring };
class NoDeadlock : public ElementTest, public ::testing::WithParamInterface<Busy> {
 protected:
  /// The promise, and slack for ThreadSanitizer, which halts the process to look up the stacks of what it
  /// suppresses.
#ifdef __SANITIZE_THREAD__
  static constexpr std::chrono::milliseconds kBound{5000};
#else
  static constexpr std::chrono::milliseconds kBound{100};
#endif
  static constexpr int kTries = 5;  ///< the machine may be busy; one quick try shows that nothing waits

  static void block(bool on) {
    switch (GetParam()) {
      case Busy::kLoading:
        engine().block_open = on;
        break;
      case Busy::kWarmingUp:
        engine().block_stream_open = on;
        break;
      case Busy::kInferring:
        engine().block_push = on;
        break;
    }
  }

  template <typename Action>
  static void expect_prompt(Action&& action) {
    auto quickest = std::chrono::nanoseconds::max();
    for (int i = 0; i < kTries && quickest > kBound; ++i) {
      block(true);
      Stage stage({{"latency", "200000000"}});
      stage.start();
      ASSERT_EQ(stage.push_noise(10000), GST_FLOW_OK);
      ASSERT_TRUE(eventually([] { return engine().blocked == 1; }));
      const auto begin = Clock::now();
      action(&stage);
      quickest = std::min<std::chrono::nanoseconds>(quickest, Clock::now() - begin);
      EXPECT_EQ(engine().blocked, 1) << "the engine is still busy";
      block(false);
      ASSERT_TRUE(eventually([] { return engine().blocked == 0; }));
    }
    EXPECT_LE(quickest, kBound);
  }
};

TEST_P(NoDeadlock, StateChange) {
  for (const GstState state : {GST_STATE_PAUSED, GST_STATE_READY, GST_STATE_NULL})
    expect_prompt([&](Stage* stage) { gst_element_set_state(stage->element(), state); });
}

TEST_P(NoDeadlock, Flush) {
  expect_prompt([](Stage* stage) {
    EXPECT_TRUE(stage->send(gst_event_new_flush_start()));
    EXPECT_TRUE(stage->send(gst_event_new_flush_stop(TRUE)));
  });
}

TEST_P(NoDeadlock, PadDeactivation) {
  for (const char* name : {"vocals", "instrumental", "sink"})
    expect_prompt([&](Stage* stage) {
      GstPad* pad = gst_element_get_static_pad(stage->element(), name);
      EXPECT_TRUE(gst_pad_set_active(pad, FALSE));
      gst_object_unref(pad);
    });
}

TEST_P(NoDeadlock, StemPadReleased) {
  expect_prompt([](Stage* stage) {
    GstPad* pad = gst_element_request_pad_simple(stage->element(), "stem_0");
    ASSERT_TRUE(pad);
    gst_element_release_request_pad(stage->element(), pad);
    gst_object_unref(pad);
  });
}

TEST_P(NoDeadlock, QueriesAndProperties) {
  expect_prompt([](Stage* stage) {
    EXPECT_GT(gst_harness_query_latency(stage->harness()), 0U);
    GstStructure* stats = nullptr;
    g_object_get(stage->element(), "stats", &stats, nullptr);
    const Owned<GstStructure> owned(stats);
    g_object_set(stage->element(), "bypass", TRUE, nullptr);
  });
}

INSTANTIATE_TEST_SUITE_P(All, NoDeadlock,
                         ::testing::Values(Busy::kLoading, Busy::kWarmingUp, Busy::kInferring),
                         [](const auto& info) {
                           return info.param == Busy::kLoading     ? "Loading"
                                  : info.param == Busy::kWarmingUp ? "WarmUp"
                                                                   : "Inference";
                         });

}  // namespace
}  // namespace bsm::test
