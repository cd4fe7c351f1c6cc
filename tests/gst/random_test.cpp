// Random scripts: 100 000 operations in all, half of them from a fixed seed and half from a fresh one.
//
// BSM_RANDOM_SEED plays one seed again; BSM_RANDOM_OPERATIONS sets the number of operations.
#include "random_player.h"

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <thread>

namespace bsm::test {
namespace {

class Random : public ElementTest {
 protected:
  void SetUp() override {
    ElementTest::SetUp();
    engine().stems = 3;
  }
};

int operations() {
  const char* text = std::getenv("BSM_RANDOM_OPERATIONS");
  return text ? std::atoi(text) : 100000;
}

/// Several short lives of an element say more than one long one.
void play(uint32_t seed, int operations) {
  constexpr int kLife = 5000;
  for (int done = 0; done < operations && !::testing::Test::HasFailure(); done += kLife) {
    SCOPED_TRACE("BSM_RANDOM_SEED=" + std::to_string(seed));
    RandomPlayer(seed++).play(std::min(kLife, operations - done));
  }
}

TEST_F(Random, FixedSeed) {
  const char* text = std::getenv("BSM_RANDOM_SEED");
  play(text ? static_cast<uint32_t>(std::strtoul(text, nullptr, 10)) : 20240814, operations() / 2);
}

TEST_F(Random, FreshSeed) {
  const uint32_t seed = std::random_device()() % 1000000000;
  std::cout << "BSM_RANDOM_SEED=" << seed << std::endl;
  play(seed, operations() / 2);
}

// The same while another thread asks and changes what an application may at any time.
TEST_F(Random, WithAnApplicationThread) {
  Stage stage({{"latency", "100000000"}});
  std::atomic<bool> done = false;
  std::thread application([&] {
    std::mt19937 generator(7);
    while (!done) {
      const auto drawn = generator();
      g_object_set(stage.element(), "bypass", static_cast<gboolean>(drawn % 2), "guide-level",
                   (drawn % 10) * 0.1, "post-messages", static_cast<gboolean>(drawn % 3 == 0), nullptr);
      GstStructure* stats = nullptr;
      g_object_get(stage.element(), "stats", &stats, nullptr);
      gst_structure_free(stats);
      gchar* device = nullptr;
      g_object_get(stage.element(), "current-device", &device, nullptr);
      g_free(device);
      if (GstPad* pad = gst_element_request_pad_simple(stage.element(), "stem_%u")) {
        gst_element_query_duration(stage.element(), GST_FORMAT_TIME, nullptr);
        gst_element_release_request_pad(stage.element(), pad);
        gst_object_unref(pad);
      }
    }
  });
  for (int round = 0; round < operations() / 250; ++round) {
    stage.send(gst_event_new_stream_start("round"));
    stage.start();
    stage.send_segment(0);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(stage.push_at(noise(2000), ns(i * 1000)), GST_FLOW_OK);
    if (round % 3 == 0) {
      EXPECT_TRUE(stage.finish());
    } else if (round % 3 == 1) {
      EXPECT_TRUE(stage.send(gst_event_new_flush_start()));
      EXPECT_TRUE(stage.send(gst_event_new_flush_stop(TRUE)));
    } else {
      gst_element_set_state(stage.element(), GST_STATE_READY);
      gst_element_set_state(stage.element(), GST_STATE_PLAYING);
    }
    while (stage.message(GST_MESSAGE_ANY, std::chrono::milliseconds(0))) {
    }
  }
  done = true;
  application.join();
}

}  // namespace
}  // namespace bsm::test
