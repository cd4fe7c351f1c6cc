// Pitfalls 2 and 4: a flush waits for no inference, and nothing from before it comes out after it.
#include "harness.h"

#include <random>
#include <thread>

namespace bsm::test {
namespace {

class FlushSeek : public ElementTest {};

// Here and below the engine is still inside of its call when the flush is over; NoDeadlock.Flush bounds the
// time.
TEST_F(FlushSeek, FlushStartReturnsWhileTheEngineIsBusy) {
  engine().block_push = true;
  Stage stage({{"latency", "200000000"}});
  stage.start();
  ASSERT_EQ(stage.push_noise(10000), GST_FLOW_OK);
  ASSERT_TRUE(eventually([] { return engine().blocked == 1; }));
  ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
  ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
  EXPECT_EQ(engine().blocked, 1);
}

TEST_F(FlushSeek, FlushStartWakesAChainThatWaitsForRoom) {
  engine().block_push = true;
  Stage stage({{"latency", "200000000"}});
  stage.start();
  std::atomic<GstFlowReturn> flow = GST_FLOW_OK;
  std::thread upstream([&] { flow = stage.push(noise(2 * 200000)); });
  ASSERT_TRUE(eventually([] { return engine().blocked == 1; }));
  ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
  upstream.join();
  EXPECT_EQ(engine().blocked, 1);
  EXPECT_EQ(flow, GST_FLOW_FLUSHING);
  engine().block_push = false;
  ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
}

// Impulse A, seek, impulse B: no A in the output, and the first timestamp is the new segment's.
TEST_F(FlushSeek, NothingOldComesOutAfterAFlush) {
  for (const bool busy : {false, true}) {
    engine().restore();
    engine().block_push = busy;
    Stage stage({{"latency", "200000000"}});
    stage.start();
    ASSERT_EQ(stage.push(std::vector<float>(2 * 10000, 1.0F)), GST_FLOW_OK);
    ASSERT_TRUE(eventually([&] { return !busy || engine().blocked == 1; }));
    ASSERT_TRUE(stage.vocals().wait_for(GST_EVENT_SEGMENT));
    ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
    ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
    ASSERT_TRUE(stage.send_segment(5 * GST_SECOND));
    const std::vector<float> fresh(2 * 10000, 0.5F);
    ASSERT_EQ(stage.push_at(fresh, 5 * GST_SECOND), GST_FLOW_OK);
    engine().block_push = false;
    ASSERT_TRUE(stage.finish());
    EXPECT_EQ(stage.vocals().order(), "flush-stop segment buffer eos");
    expect_separated(fresh, stage.vocals().samples(), stage.instrumental().samples());
    EXPECT_EQ(stage.vocals().buffers().front().pts, 5 * GST_SECOND);
    EXPECT_TRUE(stage.vocals().buffers().front().flags & GST_BUFFER_FLAG_DISCONT);
    expect_perfect(stage.vocals().buffers(), stage.instrumental().buffers());
  }
}

// CAPS and STREAM_START that were still waiting for the model are not lost: upstream sends them only once.
TEST_F(FlushSeek, StickyEventsSurviveAFlushDuringLoading) {
  engine().block_open = true;
  Stage stage;
  stage.start(1);
  ASSERT_TRUE(stage.send(gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "song", nullptr))));
  ASSERT_EQ(stage.push_noise(1000), GST_FLOW_OK);
  ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
  ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
  ASSERT_TRUE(stage.send_segment(GST_SECOND));
  ASSERT_EQ(stage.push_at(noise(500), GST_SECOND), GST_FLOW_OK);
  engine().block_open = false;
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().order(), "flush-stop stream-start caps tag segment buffer eos");
  EXPECT_EQ(stage.instrumental().order(), stage.vocals().order());
  EXPECT_EQ(stage.vocals().frames(), 500);
  EXPECT_EQ(engine().channels, 1);
}

// The same while the change of caps waits behind audio inside the worker.
TEST_F(FlushSeek, CapsThatWaitInTheWorkerSurviveAFlush) {
  engine().block_push = true;
  Stage stage({{"latency", "200000000"}});
  stage.start(2);
  ASSERT_EQ(stage.push_noise(1000), GST_FLOW_OK);
  ASSERT_TRUE(stage.vocals().wait_for(GST_EVENT_SEGMENT));
  stage.start(1);  // drains, which takes an inference
  ASSERT_TRUE(eventually([] { return engine().blocked == 1; }));
  ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
  ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
  engine().block_push = false;
  ASSERT_TRUE(stage.send_segment(0));
  const std::vector<float> fresh = noise(30000);
  ASSERT_EQ(stage.push_at(fresh, 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(engine().channels, 1);
  EXPECT_EQ(stage.vocals().samples().size(), fresh.size());
  EXPECT_EQ(stage.vocals().count(GST_EVENT_CAPS), 1);
}

TEST_F(FlushSeek, FlushDuringEosStartsAfresh) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(1000), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  ASSERT_TRUE(stage.send(gst_event_new_flush_start()));
  ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
  ASSERT_TRUE(stage.send_segment(0));
  ASSERT_EQ(stage.push_at(noise(2000), 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.vocals().frames(), 1000);
}

TEST_F(FlushSeek, FlushStopWithoutStartIsHarmless) {
  Stage stage;
  stage.start();
  ASSERT_EQ(stage.push_noise(1000), GST_FLOW_OK);
  ASSERT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
  ASSERT_TRUE(stage.send_segment(0));
  ASSERT_EQ(stage.push_at(noise(2000), 0), GST_FLOW_OK);
  ASSERT_TRUE(stage.finish());
  EXPECT_GE(stage.vocals().frames(), 1000);
}

// 2.4: played backwards the voice is silent, the instrumental is the input, and the application is told once.
TEST_F(FlushSeek, BackwardPlaybackIsNotSeparated) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.send_segment(0, -1.0, 10 * GST_SECOND));
  std::vector<float> expected;
  for (int i = 5; i > 0; --i) {
    const std::vector<float> block = noise(2 * 4410, static_cast<uint32_t>(i));
    expected.insert(expected.end(), block.begin(), block.end());
    ASSERT_EQ(stage.push_at(block, ns(i * 4410), GST_BUFFER_FLAG_DISCONT), GST_FLOW_OK);
  }
  ASSERT_TRUE(stage.send_segment(0, -2.0, 10 * GST_SECOND));
  ASSERT_TRUE(stage.finish());
  EXPECT_EQ(stage.instrumental().samples(), expected);
  EXPECT_EQ(stage.vocals().samples(), std::vector<float>(expected.size(), 0.0F));
  EXPECT_EQ(stage.vocals().buffers().front().pts, ns(5 * 4410));
  EXPECT_EQ(stage.vocals().buffers().back().pts, ns(4410));
  EXPECT_TRUE(stage.message(GST_MESSAGE_WARNING, std::chrono::milliseconds(0)));
  EXPECT_FALSE(stage.message(GST_MESSAGE_WARNING, std::chrono::milliseconds(0))) << "one is enough";
  EXPECT_EQ(engine().inferences, 0);
}

Owned<GstElement> seekable_pipeline() {
  const std::string line =
      "audiotestsrc num-buffers=100000 ! audioconvert ! bsmamba2sep name=s latency=200000000 model-file=" +
      any_model_file() + " s.vocals ! fakesink sync=true s.instrumental ! fakesink sync=true";
  return Owned<GstElement>(gst_parse_launch(line.c_str(), nullptr));
}

bool wait_async_done(GstBus* bus) {
  const Owned<GstMessage> message(gst_bus_timed_pop_filtered(
      bus, 20 * GST_SECOND, static_cast<GstMessageType>(GST_MESSAGE_ASYNC_DONE | GST_MESSAGE_ERROR)));
  return message && GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_ASYNC_DONE;
}

TEST_F(FlushSeek, RandomFlushingSeeksEndInAsyncDone) {
  for (const GstState state : {GST_STATE_PAUSED, GST_STATE_PLAYING}) {
    const Owned<GstElement> pipeline = seekable_pipeline();
    const Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
    gst_element_set_state(pipeline.get(), state);
    ASSERT_TRUE(wait_async_done(bus.get()));
    std::mt19937 generator(7);
    for (int i = 0; i < 40; ++i) {
      const gint64 to = static_cast<gint64>(generator() % 60000) * GST_MSECOND;
      ASSERT_TRUE(gst_element_seek_simple(pipeline.get(), GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, to));
      ASSERT_TRUE(wait_async_done(bus.get())) << "seek " << i;
      std::this_thread::sleep_for(std::chrono::milliseconds(generator() % 4));
    }
    gint64 position = 0;
    EXPECT_TRUE(
        eventually([&] { return gst_element_query_position(pipeline.get(), GST_FORMAT_TIME, &position); }));
  }
}

TEST_F(FlushSeek, SeekWhileLoadingWorks) {
  engine().load_ms = 100;
  const Owned<GstElement> pipeline = seekable_pipeline();
  const Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  gst_element_set_state(pipeline.get(), GST_STATE_PAUSED);
  ASSERT_TRUE(eventually([] { return engine().model_opens > 0; }));
  for (int i = 0; i < 5; ++i)
    gst_element_seek_simple(pipeline.get(), GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                            i * static_cast<gint64>(GST_SECOND));
  EXPECT_TRUE(wait_async_done(bus.get()));
}

TEST_F(FlushSeek, SegmentSeekEndsInSegmentDone) {
  const Owned<GstElement> pipeline = seekable_pipeline();
  const Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  gst_element_set_state(pipeline.get(), GST_STATE_PAUSED);
  ASSERT_TRUE(wait_async_done(bus.get()));
  ASSERT_TRUE(gst_element_seek(pipeline.get(), 1.0, GST_FORMAT_TIME,
                               static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT),
                               GST_SEEK_TYPE_SET, GST_SECOND, GST_SEEK_TYPE_SET,
                               GST_SECOND + 300 * GST_MSECOND));
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  EXPECT_TRUE(
      Owned<GstMessage>(gst_bus_timed_pop_filtered(bus.get(), 20 * GST_SECOND, GST_MESSAGE_SEGMENT_DONE)));
}

}  // namespace
}  // namespace bsm::test
