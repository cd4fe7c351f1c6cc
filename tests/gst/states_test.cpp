// Pitfalls 3, 14, 15: state changes at any moment neither hang nor leak; the element is reusable.
#include "harness.h"

#include <random>
#include <thread>

namespace bsm::test {
namespace {

class States : public ElementTest {};

/// A state change waits for a busy engine for 50 ms at most; the rest is slack for a loaded machine, and for
/// ThreadSanitizer, which halts the process to look up the stacks of what it suppresses.
#ifdef __SANITIZE_THREAD__
constexpr std::chrono::milliseconds kBound{5000};
#else
constexpr std::chrono::milliseconds kBound{400};
#endif

std::string progress_of(GstMessage* message, GstProgressType* type) {
  gchar *code = nullptr, *text = nullptr;
  gst_message_parse_progress(message, type, &code, &text);
  const std::string result = code;
  g_free(code);
  g_free(text);
  return result;
}

TEST_F(States, CreatedAndDestroyedWithoutAState) {
  for (int i = 0; i < 1000; ++i) {
    GstElement* element = make_element();
    gst_object_ref_sink(element);
    gst_object_unref(element);
  }
  EXPECT_EQ(engine().model_opens, 0);
}

TEST_F(States, EveryChangeTwice) {
  const Owned<GstElement> element(GST_ELEMENT(gst_object_ref_sink(make_element())));
  for (int round = 0; round < 2; ++round) {
    for (const GstState state : {GST_STATE_READY, GST_STATE_PAUSED, GST_STATE_PLAYING, GST_STATE_PAUSED,
                                 GST_STATE_READY, GST_STATE_NULL, GST_STATE_PLAYING, GST_STATE_NULL}) {
      ASSERT_EQ(gst_element_set_state(element.get(), state), GST_STATE_CHANGE_SUCCESS);
    }
  }
}

TEST_F(States, LoadingReportsItsProgress) {
  engine().load_ms = 30;
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.finish());
  std::string seen;
  int steps = 0;
  while (const auto message = stage.message(GST_MESSAGE_PROGRESS, std::chrono::milliseconds(0))) {
    GstProgressType type;
    const std::string code = progress_of(message.get(), &type);
    if (type == GST_PROGRESS_TYPE_CONTINUE)
      ++steps;
    else
      seen += code + (type == GST_PROGRESS_TYPE_START      ? "+ "
                      : type == GST_PROGRESS_TYPE_COMPLETE ? "- "
                                                           : "! ");
  }
  EXPECT_EQ(seen, "load-model+ load-model- warm-up+ warm-up- ");
  EXPECT_GE(steps, 3);
  EXPECT_LE(steps, 12);
}

TEST_F(States, NullCancelsLoading) {
  engine().load_ms = 60000;
  Stage stage;
  ASSERT_TRUE(eventually([] { return engine().model_opens > 0; }));
  const auto begin = Clock::now();
  gst_element_set_state(stage.element(), GST_STATE_READY);
  EXPECT_LT(Clock::now() - begin, kBound);
  bool cancelled = false;
  while (const auto message = stage.message(GST_MESSAGE_PROGRESS, std::chrono::milliseconds(0))) {
    GstProgressType type;
    progress_of(message.get(), &type);
    cancelled = cancelled || type == GST_PROGRESS_TYPE_CANCELED;
  }
  EXPECT_TRUE(cancelled);
  EXPECT_FALSE(stage.message(GST_MESSAGE_ERROR, std::chrono::milliseconds(0)));
}

// The load that does not listen and the inference that cannot be interrupted end later, by themselves.
TEST_F(States, ReadyCancelsWarmingUp) {
  engine().block_stream_open = true;
  Stage stage;
  stage.start();
  ASSERT_TRUE(eventually([] { return engine().blocked > 0; }));
  gst_element_set_state(stage.element(), GST_STATE_READY);
  engine().block_stream_open = false;
  GstProgressType last = GST_PROGRESS_TYPE_ERROR;
  ASSERT_TRUE(eventually([&] {
    while (const auto message = stage.message(GST_MESSAGE_PROGRESS, std::chrono::milliseconds(0))) {
      gchar* code = nullptr;
      gst_message_parse_progress(message.get(), &last, &code, nullptr);
      const bool warm_up = g_str_equal(code, "warm-up");
      g_free(code);
      if (warm_up && last != GST_PROGRESS_TYPE_START) return true;
    }
    return false;
  }));
  EXPECT_EQ(last, GST_PROGRESS_TYPE_CANCELED);
}

TEST_F(States, NullDoesNotWaitForTheEngine) {
  for (const bool loading : {true, false}) {
    engine().restore();
    (loading ? engine().block_open : engine().block_push) = true;
    {
      Stage stage({{"latency", "200000000"}});
      stage.start();
      ASSERT_EQ(stage.push_noise(10000), GST_FLOW_OK);
      ASSERT_TRUE(eventually([] { return engine().blocked == 1; }));
      const auto begin = Clock::now();
      gst_element_set_state(stage.element(), GST_STATE_NULL);
      EXPECT_LT(Clock::now() - begin, kBound);
    }
    // The element is gone; the worker is not.
    EXPECT_EQ(engine().blocked, 1);
    (loading ? engine().block_open : engine().block_push) = false;
    EXPECT_TRUE(eventually([] { return engine().blocked == 0 && engine().open_models == 0; }));
  }
}

TEST_F(States, NullFromAnotherThreadWhileTheChainWaits) {
  engine().block_push = true;
  Stage stage({{"latency", "200000000"}});
  stage.start();
  std::atomic<GstFlowReturn> flow = GST_FLOW_OK;
  std::thread upstream([&] { flow = stage.push(noise(2 * 400000)); });
  ASSERT_TRUE(eventually([] { return engine().blocked == 1; }));
  std::thread release([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    engine().block_push = false;
  });
  gst_element_set_state(stage.element(), GST_STATE_NULL);
  upstream.join();
  release.join();
  EXPECT_EQ(flow, GST_FLOW_FLUSHING);
}

TEST_F(States, StoppedAtRandomMoments) {
  engine().load_ms = 2;
  engine().inference_ms = 1;
  std::mt19937 generator(3);
  Stage stage({{"latency", "100000000"}});
  for (int i = 0; i < 100; ++i) {
    gst_element_set_state(stage.element(), GST_STATE_PLAYING);
    stage.send(gst_event_new_stream_start("round"));
    stage.start();
    stage.send_segment(0);
    for (int n = static_cast<int>(generator() % 8); n > 0; --n) stage.push_noise(2000);
    if (generator() % 3 == 0) stage.send(gst_event_new_eos());
    std::this_thread::sleep_for(std::chrono::microseconds(generator() % 3000));
    gst_element_set_state(stage.element(), generator() % 2 ? GST_STATE_NULL : GST_STATE_READY);
  }
}

TEST_F(States, ReusedWithEverythingFresh) {
  Stage stage;
  stage.start(2);
  ASSERT_EQ(stage.push_noise(30000), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  gst_element_set_state(stage.element(), GST_STATE_READY);
  EXPECT_TRUE(eventually([] { return engine().open_models == 0; }));
  stage.vocals().clear();
  stage.instrumental().clear();
  gst_element_set_state(stage.element(), GST_STATE_PLAYING);
  ASSERT_TRUE(stage.send(gst_event_new_stream_start("second")));
  stage.start(1);
  const std::vector<float> input = noise(7777);
  ASSERT_EQ(stage.push_at(input, 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().order(), "stream-start caps segment buffer eos");
  expect_separated(input, stage.vocals().samples(), stage.instrumental().samples());
  EXPECT_EQ(engine().model_opens, 2);
}

TEST_F(States, ElementMayGoWhileItsWorkerPosts) {
  // A handler in the worker's thread holds the last reference for a moment.
  for (int i = 0; i < 50; ++i) {
    engine().load_ms = i % 5;
    GstElement* element = make_element();
    gst_object_ref_sink(element);
    gst_element_set_state(element, GST_STATE_PLAYING);
    std::this_thread::sleep_for(std::chrono::microseconds(500 * (i % 10)));
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
  }
}

TEST_F(States, FourPipelinesAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> ends = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&ends, t] {
      for (int round = 0; round < 5; ++round) {
        const std::string line =
            "audiotestsrc num-buffers=" + std::to_string(20 + 10 * t) +
            " samplesperbuffer=4410 ! audioconvert ! bsmamba2sep name=s latency=200000000 model-file=" +
            any_model_file() + " s.vocals ! fakesink s.instrumental ! fakesink";
        const Owned<GstElement> pipeline(gst_parse_launch(line.c_str(), nullptr));
        const Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
        gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
        if ((round + t) % 2) {
          const Owned<GstMessage> message(gst_bus_timed_pop_filtered(
              bus.get(), 20 * GST_SECOND, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR)));
          if (message && GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) ++ends;
        } else {
          std::this_thread::sleep_for(std::chrono::milliseconds(3 * t));
          ++ends;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ends, 20);
}

}  // namespace
}  // namespace bsm::test
