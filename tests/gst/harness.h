// GstHarness and friends with owners, and a recorder that keeps buffers and events of a pad in one order.
#pragma once

#include <gst/audio/audio.h>
#include <gst/check/gstharness.h>
#include <gst/check/gsttestclock.h>
#include <gst/gst.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fake_engine.h"
#include "leaks.h"

namespace bsm::test {

using Clock = std::chrono::steady_clock;
inline constexpr int kRateHz = 44100;
inline constexpr std::chrono::seconds kPatience{20};  ///< for what should be at once; sanitizers are slow

/// The control block of the fake engine that BSMAMBA2_ENGINE names.
fake::Control& engine();

/// A file that exists; the fake engine does not read it.
std::string any_model_file();

struct GstDeleter {
  void operator()(GstElement* element) const {
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
  }
  void operator()(GstBus* bus) const { gst_object_unref(bus); }
  void operator()(GstPad* pad) const { gst_object_unref(pad); }
  void operator()(GstMessage* message) const { gst_message_unref(message); }
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
  void operator()(GstStructure* s) const { gst_structure_free(s); }
  void operator()(GError* error) const { g_error_free(error); }
  void operator()(GstHarness* h) const { gst_harness_teardown(h); }
};
template <typename T>
using Owned = std::unique_ptr<T, GstDeleter>;

/// Waits until `condition` holds.
bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit = kPatience);

/// GST_TIME of so many samples.
GstClockTime ns(int64_t frames);

/// Pseudo-random samples, the same for the same seed.
std::vector<float> noise(int64_t floats, uint32_t seed = 1);

GstBuffer* make_buffer(const std::vector<float>& interleaved, int channels, GstClockTime pts,
                       guint flags = 0);

struct Setting {
  const char* property;
  std::string value;
};

/// A new bsmamba2sep with a model file; takes "name=value" settings.
GstElement* make_element(std::initializer_list<Setting> settings = {});

struct Entry {
  GstEventType type = GST_EVENT_UNKNOWN;  ///< UNKNOWN: a buffer
  std::string name;                       ///< of a custom event's structure, or a stream-id
  guint32 seqnum = 0;
  GstClockTime pts = GST_CLOCK_TIME_NONE, duration = GST_CLOCK_TIME_NONE;
  guint64 offset = GST_BUFFER_OFFSET_NONE;
  guint flags = 0;
  int64_t frames = 0;
  std::vector<float> samples;
  GstSegment segment;
  int channels = 0;                                              ///< of a CAPS event
  std::vector<std::pair<std::string, GstClockTime>> references;  ///< clock and time of each reference meta
  int other_metas = 0;

  bool is_buffer() const { return type == GST_EVENT_UNKNOWN; }
};

/// Everything that leaves through a source pad, in order; since the last FLUSH_STOP, if there was one.
class Recorder {
 public:
  explicit Recorder(GstPad* pad);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  std::vector<Entry> entries() const;
  std::vector<Entry> buffers() const;
  std::vector<float> samples() const;
  int64_t frames() const;
  /// "stream-start caps segment buffer eos"; runs of buffers count as one.
  std::string order() const;
  int count(GstEventType type) const;
  bool wait_for(GstEventType type, int times = 1) const;
  bool wait_frames(int64_t frames) const;
  void clear();
  /// Whether what is recorded from now on has its samples, or their number alone.
  void keep_samples(bool keep) { keep_samples_ = keep; }

 private:
  static GstPadProbeReturn on_data(GstPad* pad, GstPadProbeInfo* info, gpointer self);
  void record(Entry entry);

  GstPad* pad_;
  gulong probe_;
  int channels_ = 2;
  std::atomic<bool> keep_samples_ = true;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Entry> entries_;
};

/// The element between two harnesses, PLAYING, with a bus.
class Stage {
 public:
  explicit Stage(std::initializer_list<Setting> settings = {}, bool link_instrumental = true);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  GstElement* element() const { return element_; }
  GstHarness* harness() const { return main_.get(); }
  Recorder& vocals() { return *vocals_; }
  Recorder& instrumental() { return *instrumental_; }

  /// stream-start, caps, a TIME segment from 0.
  void start(int channels = 2);
  bool send(GstEvent* event) { return gst_harness_push_event(main_.get(), event); }
  bool send_segment(GstClockTime start, double rate = 1.0, GstClockTime stop = GST_CLOCK_TIME_NONE);
  /// Contiguous with the last push.
  GstFlowReturn push(const std::vector<float>& interleaved);
  GstFlowReturn push_at(const std::vector<float>& interleaved, GstClockTime pts, guint flags = 0);
  GstFlowReturn push_noise(int64_t frames, uint32_t seed = 1) {
    return push(noise(frames * channels_, seed));
  }
  /// EOS, and waits until both pads have it.
  bool finish();
  bool wait_loaded();
  /// The next message of the type, waiting for it; NULL after `limit`.
  Owned<GstMessage> message(GstMessageType type, std::chrono::milliseconds limit = kPatience);
  int channels() const { return channels_; }

 private:
  GstElement* element_;
  Owned<GstBus> bus_;
  std::unique_ptr<Recorder> vocals_, instrumental_;
  Owned<GstHarness> main_, second_;
  int channels_ = 2;
  int64_t pushed_ = 0;
  std::unique_ptr<std::mutex> caps_mutex_;
};

struct BusError {
  GQuark domain = 0;
  int code = -1;
  std::string text;
};
BusError parse_error(GstMessage* message);
/// Waits for an ERROR on the bus.
BusError wait_error(GstBus* bus);
int count_errors(GstBus* bus);

/// Timestamps follow one another without gap, both pads carry the same geometry.
void expect_perfect(const std::vector<Entry>& vocals, const std::vector<Entry>& instrumental);
/// The fake's separation of `input`, sample by sample.
void expect_separated(const std::vector<float>& input, const std::vector<float>& vocals,
                      const std::vector<float>& instrumental);

/// Each test starts with a well-behaved engine and leaves nothing open.
class ElementTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  bool others_leak_ = false;  ///< as playbin does: only our elements are looked for

 private:
  LeakTracker tracker_;
};

}  // namespace bsm::test
