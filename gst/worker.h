// The inference worker: takes samples and marks in order, runs the engine without any lock, and hands buffers
// and events to both source pads in the order of the samples.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "inference.h"
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
  /// Events that leave when the timeline has reached their sample.
  struct PendingEvents {
    int64_t at_frame;
    EventPair events;
  };

  // loading.cpp
  void load_model();
  void open_stream(int channels);
  static int on_progress(const char* step, double fraction, void* user);

  void handle(InputQueue::Item* item);
  void handle_mark(Mark* mark);
  void handle_samples(const std::vector<float>& samples);
  void begin_epoch(uint64_t epoch);
  void begin_timeline(const Anchor& anchor);
  void end_timeline();
  void fail(const EngineError& error, const char* while_doing, bool for_good);

  // publish.cpp
  void publish_available();
  void publish_block(int64_t frames);
  void publish_unseparated(const float* mixture, int64_t frames);
  void publish_due_events();
  void pull_block(float* vocals, float* instrumental, int64_t frames);
  void stamp_and_push(BufferPair buffers, int64_t frames, bool silent);

  /// The engine takes samples now.
  bool separating() const { return stream_.is_open() && !failed_ && anchor_ && !anchor_->reverse; }

  Session& session_;
  EngineModel model_;
  EngineStream stream_;
  int channels_ = 0;

  uint64_t epoch_ = 0;
  bool superseded_ = false;  ///< a flush ended the epoch; what is at hand is dropped
  bool failed_ = false;
  bool load_failed_ = false;

  std::optional<Anchor> anchor_;
  int64_t in_frames_ = 0;   ///< given to the engine since the anchor
  int64_t out_frames_ = 0;  ///< handed to the pads since the anchor
  bool discont_ = true;     ///< the next buffer starts a timeline
  bool first_timeline_ = true;
  std::deque<PendingEvents> pending_;
  std::vector<std::vector<float>> other_stems_;

  std::string reported_step_;
  int reported_percent_ = -1;
};

}  // namespace bsm
