// A GPU that is lost, for real: a kernel that traps breaks the CUDA context of the process, after which every
// CUDA call fails. Each case runs in a process of its own, which must end well. Alone, without the other GPU
// tests:
//
//   tests/gpu/run.sh --lost [BUILD_FOLDER]
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "../gst/harness.h"
#include "trap.h"

namespace bsm::test {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kLoading{120};  ///< LibTorch with CUDA, from a cold disk
constexpr int64_t kDelayFrames = 40000;        ///< more than the default latency
constexpr const char* kChild = "BSM_GPU_LOST_CHILD";

/// An element whose input is remembered.
class Player {
 public:
  explicit Player(const std::string& device) : stage_({{"model-file", BSM_LIVE_MODEL}, {"device", device}}) {
    stage_.start();
  }

  Stage& stage() { return stage_; }
  int64_t pushed_frames() const { return static_cast<int64_t>(input_.size()) / 2; }
  int64_t left_frames() { return std::min(stage_.vocals().frames(), stage_.instrumental().frames()); }

  GstFlowReturn push(int64_t frames) {
    const std::vector<float> samples = noise(2 * frames, ++seed_);
    input_.insert(input_.end(), samples.begin(), samples.end());
    return stage_.push(samples);
  }
  bool push_until_error() {
    const auto end = Clock::now() + kPatience;
    while (Clock::now() < end)
      if (push(4410) == GST_FLOW_ERROR) return true;
    return false;
  }
  /// Whether everything but the latency has left.
  bool wait_separated() {
    return eventually([&] { return left_frames() >= pushed_frames() - kDelayFrames; }, kLoading);
  }
  std::string device() const {
    gchar* text = nullptr;
    g_object_get(stage_.element(), "current-device", &text, nullptr);
    const std::string device = text ? text : "";
    g_free(text);
    return device;
  }

  /// What left is the beginning of the input, without a gap, on both pads, and the stems add up to it.
  void expect_beginning_of_input() {
    expect_perfect(stage_.vocals().buffers(), stage_.instrumental().buffers());
    const std::vector<float> voice = stage_.vocals().samples(), rest = stage_.instrumental().samples();
    ASSERT_EQ(voice.size(), rest.size());
    ASSERT_LE(voice.size(), input_.size());
    for (size_t i = 0; i < voice.size(); ++i)
      ASSERT_NEAR(voice[i] + rest[i], input_[i], 1e-5F) << "sample " << i;
  }
  void expect_everything_left() {
    ASSERT_TRUE(stage_.finish());
    EXPECT_EQ(stage_.vocals().frames(), pushed_frames());
    EXPECT_FALSE(stage_.message(GST_MESSAGE_ERROR, milliseconds(0)));
    expect_beginning_of_input();
  }
  /// One ERROR that says what happened, and nothing lost before it.
  void expect_gpu_lost() {
    const BusError error = parse_error(stage_.message(GST_MESSAGE_ERROR).get());
    EXPECT_EQ(error.domain, GST_RESOURCE_ERROR) << error.text;
    EXPECT_EQ(error.code, GST_RESOURCE_ERROR_FAILED) << error.text;
    EXPECT_NE(error.text.find("GPU failed or went away"), std::string::npos) << error.text;
    EXPECT_FALSE(stage_.message(GST_MESSAGE_ERROR, milliseconds(100)));
    expect_beginning_of_input();
  }
  /// A WARNING, no ERROR, and everything comes from the CPU.
  void expect_cpu_instead() {
    const auto first =
        stage_.message(static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), kLoading);
    ASSERT_TRUE(first);
    ASSERT_EQ(GST_MESSAGE_TYPE(first.get()), GST_MESSAGE_WARNING) << parse_error(first.get()).text;
    expect_everything_left();
    EXPECT_EQ(device(), "cpu");
  }
  void expect_stops_soon() {
    const auto begin = Clock::now();
    EXPECT_EQ(gst_element_set_state(stage_.element(), GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    EXPECT_LT(Clock::now() - begin, milliseconds(100));
  }

 private:
  Stage stage_;
  uint32_t seed_ = 0;
  std::vector<float> input_;
};

class GpuLost : public testing::Test {
 protected:
  /// Runs `body` in a process of its own, whose GPU it may break.
  static void in_own_process(const std::function<void()>& body) {
    if (const std::string why = why_no_gpu(); !why.empty()) GTEST_SKIP() << "needs an NVIDIA GPU: " << why;
    if (g_getenv(kChild)) {
      ASSERT_EQ(prepare_trap(), "");
      body();
      return;
    }
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    const std::string filter = std::string("--gtest_filter=") + test.test_suite_name() + "." + test.name();
    gchar* self = g_file_read_link("/proc/self/exe", nullptr);
    const gchar* argv[] = {self, filter.c_str(), "--gtest_brief=1", nullptr};
    gchar** environment = g_environ_setenv(g_get_environ(), kChild, "1", TRUE);
    gint status = -1;
    GError* error = nullptr;
    EXPECT_TRUE(g_spawn_sync(nullptr, const_cast<gchar**>(argv), environment, G_SPAWN_DEFAULT, nullptr,
                             nullptr, nullptr, nullptr, &status, &error) &&
                g_spawn_check_wait_status(status, &error))
        << (error ? error->message : "");
    g_clear_error(&error);
    g_strfreev(environment);
    g_free(self);
  }
};

/// The error, the state change, an element on the CPU beside it, and the next start.
void expect_all_of_it(Player* lost, Player* other) {
  lost->expect_gpu_lost();
  lost->expect_stops_soon();
  EXPECT_EQ(other->push(44100), GST_FLOW_OK);
  other->expect_everything_left();

  Player next("auto");
  EXPECT_EQ(next.push(44100), GST_FLOW_OK);
  next.expect_cpu_instead();
}

TEST_F(GpuLost, BetweenInferences) {
  in_own_process([] {
    Player lost("cuda"), other("cpu");
    for (Player* player : {&lost, &other}) ASSERT_EQ(player->push(3 * 44100), GST_FLOW_OK);
    ASSERT_TRUE(lost.wait_separated());
    ASSERT_NE(spring_trap(), "");
    EXPECT_TRUE(lost.push_until_error());
    expect_all_of_it(&lost, &other);
  });
}

class GpuLostAfter : public GpuLost, public testing::WithParamInterface<int> {};  // microseconds

/// At any point of the computation: an exception in a destructor of LibTorch would end the process.
TEST_P(GpuLostAfter, Computing) {
  in_own_process([] {
    Player lost("cuda"), other("cpu");
    for (Player* player : {&lost, &other}) ASSERT_EQ(player->push(3 * 44100), GST_FLOW_OK);
    ASSERT_TRUE(lost.wait_separated());
    std::atomic<bool> failed = false;
    std::thread pushing([&] { failed = lost.push_until_error(); });
    const int64_t before = lost.left_frames();
    EXPECT_TRUE(eventually([&] { return lost.left_frames() > before + 10 * 44100; }, kLoading));
    std::this_thread::sleep_for(std::chrono::microseconds(GetParam()));
    EXPECT_NE(spring_trap(), "");
    pushing.join();
    EXPECT_TRUE(failed);
    expect_all_of_it(&lost, &other);
  });
}
INSTANTIATE_TEST_SUITE_P(Delays, GpuLostAfter, testing::Values(0, 300, 700, 1300, 2100, 3100));

/// Waits until the element says that it does `step`.
bool wait_begun(Stage& stage, const std::string& step) {
  for (;;) {
    const auto message = stage.message(GST_MESSAGE_PROGRESS, kLoading);
    if (!message) return false;
    gchar* text = nullptr;
    gst_message_parse_progress(message.get(), nullptr, nullptr, &text);
    const bool begun = g_str_has_prefix(text, step.c_str());
    g_free(text);
    if (begun) return true;
  }
}

class GpuLostWhile : public GpuLost, public testing::WithParamInterface<const char*> {};

TEST_P(GpuLostWhile, DeviceNamed) {
  in_own_process([] {
    Player lost("cuda");
    ASSERT_TRUE(wait_begun(lost.stage(), GetParam()));
    ASSERT_NE(spring_trap(), "");
    EXPECT_TRUE(lost.push_until_error());
    lost.expect_gpu_lost();
    lost.expect_stops_soon();
  });
}

TEST_P(GpuLostWhile, DeviceAuto) {
  in_own_process([] {
    Player player("auto");
    ASSERT_TRUE(wait_begun(player.stage(), GetParam()));
    ASSERT_NE(spring_trap(), "");
    ASSERT_EQ(player.push(44100), GST_FLOW_OK);
    player.expect_cpu_instead();
  });
}
INSTANTIATE_TEST_SUITE_P(Steps, GpuLostWhile, testing::Values("moving the weights", "Warming up"));

TEST_F(GpuLost, ProcessThatEndsWithoutStoppingEndsWell) {
  in_own_process([] {
    Player& lost = *new Player("cuda");  // as it is when the process ends
    ASSERT_EQ(lost.push(3 * 44100), GST_FLOW_OK);
    ASSERT_TRUE(lost.wait_separated());
    ASSERT_NE(spring_trap(), "");
    EXPECT_TRUE(lost.push_until_error());
    std::exit(testing::Test::HasFailure() ? 1 : 0);
  });
}

}  // namespace
}  // namespace bsm::test
