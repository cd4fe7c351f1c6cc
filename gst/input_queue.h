// From the sink pad to the worker: a bounded ring of samples with marks between them.
//
// Samples are copied in, so that no memory of upstream is held. Marks (events, starts of a timeline) keep
// their place between the samples and do not count against the capacity. A flush throws away the samples and
// starts a new epoch; marks with sticky events (STREAM_START, CAPS, TAG) stay, since upstream does not send
// them again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "gst_ptr.h"
#include "reference.h"

namespace bsm {

/// Where the timeline of the samples that follow begins.
struct Anchor {
  GstClockTime pts;
  guint64 offset;  ///< of the first sample, or GST_BUFFER_OFFSET_NONE
  bool reverse;    ///< played backwards: not separated, the instrumental is the mixture
};

/// What leaves before a mark does: what is ready; all samples before it; all, and the timeline ends.
enum class Drain { kNothing, kSamples, kTimeline };

struct Mark {
  std::optional<Anchor> anchor;
  std::vector<Reference> references{};  ///< of the sample that follows
  EventPtr event;                       ///< NULL for an anchor or references
  Drain drain = Drain::kNothing;
  int channels = 0;  ///< of the samples that follow; 0 = unchanged
};

class InputQueue {
 public:
  struct Item {
    uint64_t epoch = 0;
    std::optional<Mark> mark;
    std::vector<float> samples;  ///< interleaved, when there is no mark
  };

  explicit InputQueue(int64_t capacity_frames) : capacity_frames_(capacity_frames) {}

  /// [sink streaming thread] Number of channels of what is pushed from now on.
  void set_channels(int channels);
  /// [sink streaming thread] Copies samples (NULL: silence), waiting while the ring is full. False: flushing
  /// or stopped.
  bool push_samples(const float* interleaved, int64_t frames);
  /// [sink streaming thread] Never waits. False: flushing or stopped.
  bool push_mark(Mark mark);

  /// [worker] Waits for the next mark or for up to max_frames samples. False: stopped.
  bool pop(Item* item, int64_t max_frames);

  /// [any] Grows the ring; it never shrinks below what it was.
  void grow(int64_t capacity_frames);
  /// [any] Wakes a waiting push, throws away what is queued, starts a new epoch and returns it.
  uint64_t flush_start();
  void flush_stop();
  /// [any] Ends every wait for good.
  void stop();
  /// [any]
  int64_t queued_frames() const;
  /// [any] Frames of the last push: so much comes at once and is not late.
  int64_t last_push_frames() const;

 private:
  struct Entry {
    std::optional<Mark> mark;
    int64_t frames = 0;
    int channels = 0;
  };

  void write(const float* interleaved, size_t floats);
  void read(float* out, size_t floats);

  mutable std::mutex mutex_;
  std::condition_variable space_, data_;
  std::deque<Entry> entries_;
  std::vector<float> ring_;  ///< floats; sized on the first push
  size_t head_ = 0, filled_ = 0;
  int64_t capacity_frames_;
  int64_t queued_frames_ = 0;
  int64_t last_push_frames_ = 0;
  int channels_ = 2;
  uint64_t epoch_ = 0;
  bool flushing_ = false, stopped_ = false;
};

}  // namespace bsm
