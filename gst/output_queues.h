// From the worker to the tasks of the two source pads: one bounded queue per pad.
//
// A single thread that pushes both pads would hang in preroll without queues behind it, so each pad has its
// own. The worker waits while either is full; a pad that is not active takes nothing and blocks nobody.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

#include "gst_ptr.h"

namespace bsm {

/// One buffer or event on its way to a pad.
struct Output {
  BufferPtr buffer;
  EventPtr event;
  int64_t frames = 0;
};

class OutputQueues {
 public:
  explicit OutputQueues(int64_t capacity_frames) : capacity_frames_(capacity_frames) {}

  /// [worker] Waits for room on both pads. False: the epoch is over, or stopped; the buffers are dropped.
  bool push_buffers(uint64_t epoch, BufferPair buffers, int64_t frames);
  /// [worker] Never waits. False (and *events untouched): the epoch is over, or stopped.
  bool push_events(uint64_t epoch, EventPair* events);
  /// [pad task] Waits for the next thing to push. False: the task should pause.
  bool pop(int pad, Output* output);
  /// [pad task] Puts a sticky event back that a flush kept from being pushed.
  void put_back(int pad, EventPtr event);

  /// [any] Two blocks per pad; may change while running.
  void set_capacity(int64_t capacity_frames);
  /// [any] Activation of a source pad.
  void set_active(int pad, bool active);
  bool is_active(int pad) const;
  /// [any] Wakes the tasks, drops all but sticky events, and refuses what belongs to an earlier epoch.
  void flush_start(uint64_t epoch);
  void flush_stop();
  bool is_flushing() const;
  /// [any] Ends every wait for good.
  void stop();

  /// [worker] Records that the inference failed in this epoch; false: the epoch is over. `for_good`: no flush
  /// heals it.
  bool fail(uint64_t epoch, bool for_good);
  /// [any]
  bool failed() const;
  int64_t queued_frames() const;

 private:
  struct Queue {
    std::deque<Output> outputs;
    int64_t frames = 0;
    bool active = false;
  };
  bool over(uint64_t epoch) const { return stopped_ || flushing_ || epoch != epoch_; }

  mutable std::mutex mutex_;
  std::condition_variable space_, data_;
  std::array<Queue, kSourcePads> queues_;
  int64_t capacity_frames_;
  uint64_t epoch_ = 0;
  bool flushing_ = false, stopped_ = false, failed_ = false, failed_for_good_ = false;
};

}  // namespace bsm
