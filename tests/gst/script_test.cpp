// Random scripts against the element: whatever happens to it, it does not hang, and what comes out keeps its
// invariants.
#include "harness.h"

#include <algorithm>
#include <random>

namespace bsm::test {
namespace {

class Script : public ElementTest {};

/// Plays random operations and keeps account of what must come out.
class Player {
 public:
  explicit Player(uint32_t seed) : generator_(seed), stage_({{"latency", "150000000"}}) { begin_stream(2); }

  void play(int operations) {
    for (int i = 0; i < operations && !::testing::Test::HasFatalFailure(); ++i) step();
    check();
  }

 private:
  uint32_t random(uint32_t below) { return static_cast<uint32_t>(generator_() % below); }

  void step() {
    switch (random(40)) {
      case 0:
        discont_forward();
        break;
      case 1:
        gap();
        break;
      case 2:
        segment();
        break;
      case 3:
        flush();
        break;
      case 4:
        eos();
        break;
      case 5:
        caps();
        break;
      case 6:
        restart();
        break;
      case 7:
        stage_.send(gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "t", nullptr)));
        break;
      case 8:
      case 9:
        mark();
        break;
      default:
        push();
        break;
    }
  }

  void push() {
    const uint32_t largest[] = {2, 500, 5000, 60000};
    const int64_t frames = 1 + random(largest[random(4)]);
    ASSERT_EQ(stage_.push_at(noise(frames * stage_.channels(), random(1000)), ns(position_)), GST_FLOW_OK);
    position_ += frames;
    expected_frames_ += frames;
  }

  void discont_forward() {
    position_ += 44100 + random(100000);
    const int64_t frames = 1 + random(5000);
    ASSERT_EQ(stage_.push_at(noise(frames * stage_.channels()), ns(position_), GST_BUFFER_FLAG_DISCONT),
              GST_FLOW_OK);
    position_ += frames;
    expected_frames_ += frames;
  }

  void gap() {
    // Long ones end the signal, so that the count of samples stays known.
    position_ += 9 * 44100;
    ASSERT_TRUE(stage_.send(gst_event_new_gap(ns(position_), 9 * GST_SECOND)));
    position_ += 9 * 44100;
  }

  void segment() {
    position_ = 44100 * static_cast<int64_t>(random(1000));
    ASSERT_TRUE(stage_.send_segment(ns(position_)));
  }

  void mark() {
    ASSERT_TRUE(stage_.send(gst_event_new_custom(
        GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty(("m" + std::to_string(marks_++)).c_str()))));
  }

  void flush() {
    ASSERT_TRUE(stage_.send(gst_event_new_flush_start()));
    ASSERT_TRUE(stage_.send(gst_event_new_flush_stop(TRUE)));
    expected_frames_ = 0;
    segment();
  }

  void eos() {
    ASSERT_TRUE(stage_.finish());
    check();
    forget();
    ASSERT_TRUE(stage_.send(gst_event_new_stream_start("again")));
    segment();
  }

  void caps() { stage_.start(1 + static_cast<int>(random(2))), position_ = 0, segment(); }

  void restart() {
    gst_element_set_state(stage_.element(), random(2) ? GST_STATE_READY : GST_STATE_NULL);
    forget();
    gst_element_set_state(stage_.element(), GST_STATE_PLAYING);
    ASSERT_TRUE(stage_.send(gst_event_new_stream_start("restarted")));
    begin_stream(1 + static_cast<int>(random(2)));
  }

  void begin_stream(int channels) {
    stage_.start(channels);
    segment();
  }

  void forget() {
    stage_.vocals().clear();
    stage_.instrumental().clear();
    expected_frames_ = 0;
  }

  /// What survives a flush may have left one pad before and the other after it; from the segment on both are
  /// equal.
  static std::vector<Entry> since_segment(const Recorder& pad) {
    std::vector<Entry> entries = pad.entries();
    const auto segment = std::find_if(entries.begin(), entries.end(),
                                      [](const Entry& e) { return e.type == GST_EVENT_SEGMENT; });
    entries.erase(entries.begin(), segment);
    return entries;
  }

  /// After EOS: all samples on both pads, perfect timestamps, the stems' relation, events at the same
  /// samples.
  void check() {
    const std::vector<Entry> vocals = since_segment(stage_.vocals()),
                             instrumental = since_segment(stage_.instrumental());
    if (stage_.vocals().count(GST_EVENT_EOS) == 0) return;
    EXPECT_EQ(stage_.vocals().frames(), expected_frames_);
    EXPECT_EQ(stage_.instrumental().frames(), expected_frames_);
    expect_perfect(stage_.vocals().buffers(), stage_.instrumental().buffers());
    ASSERT_EQ(vocals.size(), instrumental.size());
    for (size_t i = 0; i < vocals.size(); ++i) {
      ASSERT_EQ(vocals[i].type, instrumental[i].type);
      if (vocals[i].type != GST_EVENT_STREAM_START) {
        ASSERT_EQ(vocals[i].name, instrumental[i].name);
      }
      for (size_t k = 0; k < vocals[i].samples.size(); ++k)
        ASSERT_EQ(3.0F * vocals[i].samples[k], instrumental[i].samples[k]);
    }
  }

  std::mt19937 generator_;
  Stage stage_;
  int64_t position_ = 0;  ///< in samples, of the next push
  int64_t expected_frames_ = 0;
  int marks_ = 0;
};

TEST_F(Script, FixedSeed) {
  Player player(20240814);
  player.play(2000);
}

TEST_F(Script, SlowEngine) {
  engine().inference_ms = 1;
  engine().load_ms = 3;
  Player player(99);
  player.play(300);
}

}  // namespace
}  // namespace bsm::test
