#include "random_player.h"

#include <algorithm>
#include <cmath>

namespace bsm::test {
namespace {

constexpr float kTolerance = 1e-6F;

GstPad* static_pad(GstElement* element, const char* name) {
  return gst_element_get_static_pad(element, name);
}

}  // namespace

RandomPlayer::RandomPlayer(uint32_t seed)
    : generator_(seed),
      stage_({{"latency", "150000000"}, {"context-duration", "1000000000"}}),
      instrumental_(static_pad(stage_.element(), "instrumental")),
      peer_(gst_pad_get_peer(instrumental_)) {
  begin_stream();
}

RandomPlayer::~RandomPlayer() {
  if (stem_) stem_pad();
  if (!gst_pad_is_linked(instrumental_)) relink();
  gst_object_unref(peer_);
  gst_object_unref(instrumental_);
}

void RandomPlayer::play(int operations) {
  for (int i = 0; i < operations && !::testing::Test::HasFailure(); ++i) step();
  if (!::testing::Test::HasFailure()) eos();
}

void RandomPlayer::step() {
  using Operation = void (RandomPlayer::*)();
  struct Weighted {
    uint32_t weight;
    Operation operation;
  };
  static constexpr Weighted kOperations[] = {
      {600, &RandomPlayer::push},      {20, &RandomPlayer::jump},     {20, &RandomPlayer::short_gap},
      {10, &RandomPlayer::long_gap},   {20, &RandomPlayer::segment},  {20, &RandomPlayer::seek},
      {15, &RandomPlayer::flush},      {15, &RandomPlayer::eos},      {10, &RandomPlayer::caps},
      {10, &RandomPlayer::equal_caps}, {60, &RandomPlayer::mark},     {15, &RandomPlayer::tag},
      {10, &RandomPlayer::restart},    {15, &RandomPlayer::pause},    {60, &RandomPlayer::change_property},
      {20, &RandomPlayer::relink},     {20, &RandomPlayer::stem_pad}, {60, &RandomPlayer::query}};
  uint32_t total = 0;
  for (const Weighted& each : kOperations) total += each.weight;
  uint32_t drawn = random(total);
  for (const Weighted& each : kOperations) {
    if (drawn < each.weight) return (this->*each.operation)();
    drawn -= each.weight;
  }
}

void RandomPlayer::push() {
  // From one sample to ten seconds, the long ones rarely, each size class evenly in the logarithm.
  const double largest = one_in(200) ? 441000.0 : (one_in(10) ? 20000.0 : 2000.0);
  const double exponent = static_cast<double>(random(1000)) / 999.0;
  push_frames(std::lround(std::pow(largest, exponent)), one_in(10) ? GST_BUFFER_FLAG_DISCONT : 0);
}

void RandomPlayer::push_frames(int64_t frames, guint flags) {
  const bool silent = one_in(8);
  std::vector<float> samples = silent ? std::vector<float>(static_cast<size_t>(frames * channels_), 0.0F)
                                      : noise(frames * channels_, random(1000));
  if (silent && one_in(3)) flags |= GST_BUFFER_FLAG_GAP;
  if (rate_ < 0.0) {
    while (position_ < frames) segment();
    if (rate_ < 0.0) position_ -= frames;
  }
  GstBuffer* buffer = make_buffer(samples, channels_, ns(position_), flags);
  metas_.add_to(buffer, static_cast<int64_t>(expected_.size()) / channels_, channels_, &generator_);
  ASSERT_EQ(gst_harness_push(stage_.harness(), buffer), GST_FLOW_OK);
  if (rate_ > 0.0) position_ += frames;
  expected_.insert(expected_.end(), samples.begin(), samples.end());
}

void RandomPlayer::jump() {
  if (rate_ < 0.0) return;
  const int64_t distance = 4000 + random(100000);  // beyond what counts as jitter
  if (one_in(2))
    position_ += distance;
  else if (position_ - distance >= start_)
    position_ -= distance;
  push_frames(1 + random(3000), GST_BUFFER_FLAG_DISCONT);
}

void RandomPlayer::short_gap() {
  if (rate_ < 0.0) return;
  push_frames(1 + random(100), 0);  // there is something to continue
  const int64_t frames = 1 + random(20000);
  ASSERT_TRUE(stage_.send(gst_event_new_gap(ns(position_), ns(position_ + frames) - ns(position_))));
  position_ += frames;
  expected_.resize(expected_.size() + static_cast<size_t>(frames * channels_), 0.0F);
}

void RandomPlayer::long_gap() {
  ASSERT_TRUE(
      stage_.send(gst_event_new_gap(ns(position_), one_in(2) ? 9 * GST_SECOND : GST_CLOCK_TIME_NONE)));
  if (rate_ > 0.0) position_ += 9 * 44100;
}

void RandomPlayer::segment() {
  rate_ = one_in(10) ? -1.0 : (one_in(5) ? 2.0 : 1.0);
  // Another start than before: an equal segment continues the timeline, in which small steps back are jitter.
  const int64_t before = start_;
  do start_ = 44100 * static_cast<int64_t>(random(1000));
  while (start_ == before);
  position_ = start_;
  ASSERT_TRUE(rate_ > 0.0 ? stage_.send_segment(ns(position_), rate_)
                          : stage_.send_segment(0, rate_, ns(position_) + GST_SECOND));
}

/// From both pads, as an application's seek comes; then what upstream would do.
void RandomPlayer::seek() {
  const bool flushing = one_in(2), segment_seek = one_in(3);
  const auto flags = static_cast<GstSeekFlags>((flushing ? GST_SEEK_FLAG_FLUSH : 0) |
                                               (segment_seek ? GST_SEEK_FLAG_SEGMENT : 0));
  GstEvent* event =
      gst_event_new_seek(1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, 0);
  for (const char* name : {"vocals", "instrumental"}) {
    GstPad* pad = static_pad(stage_.element(), name);
    EXPECT_TRUE(gst_pad_send_event(pad, gst_event_ref(event)));
    gst_object_unref(pad);
  }
  gst_event_unref(event);
  if (segment_seek) {
    ASSERT_TRUE(stage_.send(gst_event_new_segment_done(GST_FORMAT_TIME, ns(position_))));
  }
  flushing ? flush() : segment();
}

void RandomPlayer::flush() {
  ASSERT_TRUE(stage_.send(gst_event_new_flush_start()));
  if (one_in(2)) query();
  ASSERT_TRUE(stage_.send(gst_event_new_flush_stop(TRUE)));
  expected_.clear();
  marks_.clear();
  metas_.clear();
  segment();
}

void RandomPlayer::eos() {
  ASSERT_TRUE(stage_.finish());
  check();
  forget();
  ASSERT_TRUE(stage_.send(gst_event_new_stream_start("again")));
  segment();
}

void RandomPlayer::caps() {
  // The account of samples is for one number of channels.
  ASSERT_NO_FATAL_FAILURE(eos());
  channels_ = 3 - channels_;
  stage_.start(channels_);
  segment();
}

void RandomPlayer::equal_caps() {
  stage_.send(gst_event_new_caps(Owned<GstCaps>(gst_pad_get_current_caps(stage_.harness()->srcpad)).get()));
}

void RandomPlayer::mark() {
  const std::string name = "m" + std::to_string(mark_count_++);
  marks_.emplace_back(name, expected_.size() / static_cast<size_t>(channels_));
  ASSERT_TRUE(
      stage_.send(gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty(name.c_str()))));
}

void RandomPlayer::tag() {
  ASSERT_TRUE(stage_.send(gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "t", nullptr))));
}

void RandomPlayer::restart() {
  gst_element_set_state(stage_.element(), one_in(2) ? GST_STATE_READY : GST_STATE_NULL);
  forget();
  engine().load_ms = one_in(3) ? 1 : 0;
  engine().inference_ms = one_in(10) ? 1 : 0;
  gst_element_set_state(stage_.element(), GST_STATE_PLAYING);
  ASSERT_TRUE(stage_.send(gst_event_new_stream_start("restarted")));
  channels_ = 1 + static_cast<int>(random(2));
  begin_stream();
}

void RandomPlayer::pause() {
  gst_element_set_state(stage_.element(), GST_STATE_PAUSED);
  if (one_in(2)) push_frames(1 + random(1000), 0);
  gst_element_set_state(stage_.element(), GST_STATE_PLAYING);
}

void RandomPlayer::change_property() {
  GObject* element = G_OBJECT(stage_.element());
  switch (random(6)) {
    case 0:
      g_object_set(element, "bypass", static_cast<gboolean>(one_in(2)), nullptr);
      return;
    case 1:
      g_object_set(element, "silence-skip", static_cast<gboolean>(one_in(2)), nullptr);
      return;
    case 2:
      g_object_set(element, "post-messages", static_cast<gboolean>(one_in(2)), "interval",
                   (1 + random(100)) * GST_MSECOND, nullptr);
      return;
    case 3:
      gst_util_set_object_arg(element, "overload-policy", one_in(2) ? "block" : "drop");
      return;
    default:
      gains_touched_ = true;
      g_object_set(element, "vocals-gain", 0.1 * random(30), "instrumental-gain", 0.1 * random(30),
                   "guide-level", 0.1 * random(11), nullptr);
      return;
  }
}

void RandomPlayer::relink() {
  if (gst_pad_is_linked(instrumental_))
    gst_pad_unlink(instrumental_, peer_);
  else
    EXPECT_EQ(gst_pad_link(instrumental_, peer_), GST_PAD_LINK_OK);
}

void RandomPlayer::stem_pad() {
  if (stem_) {
    gst_element_release_request_pad(stage_.element(), stem_);
    gst_clear_object(&stem_);
    return;
  }
  stem_ = gst_element_request_pad_simple(stage_.element(), one_in(2) ? "stem_%u" : "stem_1");
  EXPECT_TRUE(stem_);
}

void RandomPlayer::query() {
  GstQuery* latency = gst_query_new_latency();
  GstClockTime min = 0, max = 0;
  EXPECT_TRUE(gst_pad_query(instrumental_, latency));
  gst_query_parse_latency(latency, nullptr, &min, &max);
  EXPECT_LE(min, max);
  gst_query_unref(latency);
  GstStructure* stats = nullptr;
  g_object_get(stage_.element(), "stats", &stats, nullptr);
  const Owned<GstStructure> owned(stats);
  EXPECT_TRUE(stats);
  while (stage_.message(GST_MESSAGE_ANY, std::chrono::milliseconds(0))) {
  }
}

void RandomPlayer::begin_stream() {
  stage_.start(channels_);
  segment();
}

void RandomPlayer::forget() {
  stage_.vocals().clear();
  stage_.instrumental().clear();
  expected_.clear();
  marks_.clear();
  metas_.clear();
  neutral();
}

void RandomPlayer::neutral() {
  g_object_set(stage_.element(), "vocals-gain", 1.0, "instrumental-gain", 1.0, "guide-level", 0.0, nullptr);
  gains_touched_ = false;
}

/// After EOS.
void RandomPlayer::check() {
  const std::vector<Entry> vocals = stage_.vocals().buffers(), instrumental = stage_.instrumental().buffers();
  expect_perfect(vocals, instrumental);
  for (const Recorder* pad : {&stage_.vocals(), &stage_.instrumental()}) {
    ASSERT_EQ(pad->frames() * channels_, static_cast<int64_t>(expected_.size()));
    int64_t frames = 0;
    auto next = marks_.begin();
    const std::vector<Entry> entries = pad->entries();
    EXPECT_EQ(entries.back().type, GST_EVENT_EOS);
    for (const Entry& entry : entries) {
      if (entry.type == GST_EVENT_CUSTOM_DOWNSTREAM) {
        ASSERT_NE(next, marks_.end()) << entry.name;
        ASSERT_EQ(entry.name, next->first);
        ASSERT_EQ(frames, static_cast<int64_t>(next->second)) << entry.name;
        ++next;
      }
      frames += entry.frames;
    }
    ASSERT_EQ(next, marks_.end());
    ASSERT_NO_FATAL_FAILURE(metas_.check(pad->buffers()));
  }
  if (gains_touched_) return;
  size_t at = 0;
  for (size_t b = 0; b < vocals.size(); ++b)
    for (size_t i = 0; i < vocals[b].samples.size(); ++i, ++at)
      ASSERT_NEAR(vocals[b].samples[i] + instrumental[b].samples[i], expected_[at], kTolerance)
          << "float " << at;
}

}  // namespace bsm::test
