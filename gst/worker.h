// The inference worker: takes samples and marks in order, runs the engine without any lock, and hands buffers
// and events to the source pads in the order of the samples.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "block.h"
#include "fade.h"
#include "gains.h"
#include "inference.h"
#include "separation.h"
#include "session.h"

namespace bsm {

class Worker {
 public:
  explicit Worker(Session& session) : session_(session) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Loads the model, then works until the session stops.
  void run();

 private:
  /// An event that leaves when the timeline has reached its sample.
  struct PendingEvent {
    int64_t at_frame;
    EventPtr event;
  };
  struct PendingReference {
    int64_t at_frame;
    Reference reference;
  };
  /// Why the output is the mixture alone.
  enum class Passing { kNo, kBypass, kSilence, kOverload };

  // loading.cpp
  void load_model();
  void open_model(const std::string& device);
  void open_stream(int channels);
  static int on_progress(const char* step, double fraction, void* user);
  bool fall_back_to_cpu(const EngineError& error);

  void handle(InputQueue::Item* item);
  void handle_mark(Mark* mark);
  void handle_samples(const std::vector<float>& samples);
  void begin_epoch(uint64_t epoch);
  void begin_timeline(const Anchor& anchor);
  void finish_signal();
  void end_timeline();
  void fail(const EngineError& error, const char* while_doing, bool for_good);

  // passing.cpp
  void start_passing(Passing reason);
  void choose_path();
  void compute();
  void count_memory();
  bool falls_behind(GstClockTime took_ns);
  void plan_leaving(int64_t available);
  void report_overload(int64_t frames, bool dropped);

  // publish.cpp
  void publish_available();
  void publish_block(int64_t frames);
  void publish_gap(int64_t frames);
  void publish_unseparated(const float* mixture, int64_t frames);
  void publish_due_events();
  void pull(Block* block, int64_t frames);
  void fade(Block* block, int64_t frames);
  void apply_gains_to(Block* block, int64_t frames);
  Gains gains_at(GstObject* element, int64_t frame);
  void take_references(int64_t frames, PadBuffers* buffers);
  void stamp_and_push(PadBuffers buffers, int64_t frames, bool silent);
  void count_published(int64_t frames);
  GstClockTime pts_of(int64_t frame) const;

  /// The engine takes samples now.
  bool separating() const { return separation_.is_open() && !failed_ && anchor_; }

  Session& session_;
  EngineModel model_;
  Separation separation_;
  int channels_ = 0;
  int voice_stem_ = 0;

  uint64_t epoch_ = 0;
  bool superseded_ = false;  ///< a flush ended the epoch; what is at hand is dropped
  bool failed_ = false;
  bool load_failed_ = false;

  std::optional<Anchor> anchor_;
  GstSegment segment_{};    ///< of the source pads
  int64_t in_frames_ = 0;   ///< taken since the anchor
  int64_t out_frames_ = 0;  ///< handed to the pads since the anchor
  bool discont_ = true;     ///< the next buffer starts a timeline
  bool first_timeline_ = true;
  std::deque<PendingEvent> pending_;
  std::deque<PendingReference> references_;

  Passing passing_ = Passing::kNo;
  Passing leaving_ = Passing::kNo;  ///< what the mixture will pass for, from the end of what is available on
  bool behind_ = false;
  gint64 warned_us_ = -1;  ///< when the last WARNING was posted
  Fade fade_;
  Gains gains_;
  std::vector<float> mixture_;
  std::vector<std::vector<float>> stems_;  ///< outputs of the network that have no pad
  GstClockTime since_message_ns_ = 0;      ///< audio published since the last element message

  std::string reported_step_;
  int reported_percent_ = -1;
};

}  // namespace bsm
