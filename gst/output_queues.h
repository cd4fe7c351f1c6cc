// From the worker to the tasks of the source pads: one bounded queue per pad.
//
// A single thread that pushes all pads would hang in preroll without queues behind it, so each pad has its
// own. The worker waits while one is full; a pad that is not active takes nothing and blocks nobody. A pad
// that becomes active in the middle of a stream gets the sticky events of the stream first.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "gst_ptr.h"
#include "pads.h"

namespace bsm {

/// One buffer or event on its way to a pad.
struct Output {
  BufferPtr buffer;
  EventPtr event;
  int64_t frames = 0;
  bool first = false;  ///< the first buffer since the pad became active, or since one was lost
};

class OutputQueues {
 public:
  explicit OutputQueues(int64_t capacity_frames) : capacity_frames_(capacity_frames) {}

  /// [worker] Waits for room on all active pads. False: the epoch is over, or stopped; the buffers are
  /// dropped.
  bool push_buffers(uint64_t epoch, PadBuffers buffers, int64_t frames);
  /// [worker] The same event for all pads. Never waits. False (and the event is kept): the epoch is over, or
  /// stopped.
  bool push_event(uint64_t epoch, EventPtr* event);
  /// [pad task] Waits for the next thing to push. False: the task should pause.
  bool pop(int pad, Output* output);
  /// [pad task] A buffer did not get through: the next one is a first one.
  void lost(int pad);
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
    bool fresh = true;  ///< the next buffer is a first one
  };
  bool over(uint64_t epoch) const { return stopped_ || flushing_ || epoch != epoch_; }
  void remember(GstEvent* sticky);

  mutable std::mutex mutex_;
  std::condition_variable space_, data_;
  std::array<Queue, kMaxPads> queues_;
  std::vector<EventPtr> sticky_;  ///< of the stream so far, in the order of their types
  int64_t capacity_frames_;
  uint64_t epoch_ = 0;
  bool flushing_ = false, stopped_ = false, failed_ = false, failed_for_good_ = false;
};

}  // namespace bsm
