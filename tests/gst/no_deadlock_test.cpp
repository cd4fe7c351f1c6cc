// Threads that must not wait for the engine: whatever it is doing, the application goes on within 100 ms.
#include <thread>

#include "harness.h"

namespace bsm::test {
namespace {

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

// The core waits for the chain, and the chain for room: without being woken both wait for ever.
TEST_P(NoDeadlock, SinkPadDeactivationWhileUpstreamWaitsForRoom) {
  expect_prompt([](Stage* stage) {
    std::thread upstream([&] { EXPECT_EQ(stage->push_noise(441000), GST_FLOW_FLUSHING); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    GstPad* pad = gst_element_get_static_pad(stage->element(), "sink");
    EXPECT_TRUE(gst_pad_set_active(pad, FALSE));
    gst_object_unref(pad);
    upstream.join();
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
