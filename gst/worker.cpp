#include "worker.h"

#include <algorithm>
#include <utility>

#include "debug.h"
#include "messages.h"

namespace bsm {

void Worker::run() {
  load_model();
  InputQueue::Item item;
  for (;;) {
    // At most one inference at a time, so that a flush or a stop never waits for more than that one.
    const int64_t max_frames =
        separation_.is_open() ? std::max<int64_t>(separation_.info().hop_samples, 1) : kRateHz / 10;
    if (!session_.input.pop(&item, max_frames)) return;
    if (item.epoch != epoch_) begin_epoch(item.epoch);
    superseded_ = false;
    try {
      handle(&item);
    } catch (const EngineError& error) {
      fail(error, "separating", false);
    }
  }
}

void Worker::handle(InputQueue::Item* item) {
  if (item->mark)
    handle_mark(&*item->mark);
  else
    handle_samples(item->samples);
}

void Worker::handle_mark(Mark* mark) {
  if (mark->anchor) {
    end_timeline();
    begin_timeline(*mark->anchor);
    return;
  }
  if (!mark->event) {
    if (!anchor_ || failed_) return;
    for (Reference& r : mark->references) references_.push_back({in_frames_, std::move(r)});
    return;
  }
  // Kept as pending until the pads have it: sticky events survive a flush that comes in between.
  pending_.push_back({in_frames_, std::move(mark->event)});
  if (mark->drain == Drain::kNothing) {
    publish_due_events();
    return;
  }
  if (mark->drain == Drain::kSamples) {
    finish_signal();
    if (separating()) separation_.start(passing_ == Passing::kNo);
    publish_due_events();
    return;
  }
  try {
    end_timeline();
  } catch (const EngineError& error) {
    fail(error, "finishing", false);
    end_timeline();
  }
  if (mark->channels) open_stream(mark->channels);
}

void Worker::handle_samples(const std::vector<float>& samples) {
  if (!anchor_ || channels_ == 0) return;
  const auto frames = static_cast<int64_t>(samples.size()) / channels_;
  if (anchor_->reverse) {
    in_frames_ += frames;
    publish_unseparated(samples.data(), frames);
    return;
  }
  if (!separating()) return;
  separation_.accept(samples.data(), frames);
  in_frames_ += frames;
  choose_path();
  compute();
  publish_available();
}

void Worker::begin_epoch(uint64_t epoch) {
  GST_DEBUG_OBJECT(session_.element().get(), "flushed");
  epoch_ = epoch;
  superseded_ = false;
  anchor_.reset();
  references_.clear();
  in_frames_ = out_frames_ = 0;
  discont_ = true;
  std::erase_if(pending_, [](const PendingEvent& p) { return !survives_flush(p.event.get()); });
  for (PendingEvent& p : pending_) p.at_frame = 0;
  failed_ = load_failed_;
  gst_segment_init(&segment_, GST_FORMAT_UNDEFINED);
  try {
    if (separation_.is_open()) separation_.start(true);
  } catch (const EngineError& error) {
    fail(error, "resetting", false);
  }
  publish_due_events();
}

void Worker::begin_timeline(const Anchor& anchor) {
  GST_DEBUG_OBJECT(session_.element().get(), "a timeline begins at %" GST_TIME_FORMAT "%s",
                   GST_TIME_ARGS(anchor.pts), anchor.reverse ? ", backwards" : "");
  anchor_ = anchor;
  discont_ = true;
  passing_ = leaving_ = Passing::kNo;
  behind_ = false;
  fade_.jump(1.0F);
  if (separation_.is_open()) separation_.start(true);
  if (session_.controls->bypass) start_passing(Passing::kBypass);
  if (!std::exchange(first_timeline_, false)) session_.count([](Statistics& s) { ++s.discontinuities; });
}

/// Everything that has come in leaves.
void Worker::finish_signal() {
  if (separating() && out_frames_ < in_frames_) {
    separation_.finish();
    publish_available();
    if (!superseded_ && out_frames_ != in_frames_)
      throw EngineError{BSM_ERROR_FAILED, "The separation engine returned " + std::to_string(out_frames_) +
                                              " of " + std::to_string(in_frames_) +
                                              " samples. Install plugin and engine of the same version."};
  }
}

void Worker::end_timeline() {
  finish_signal();
  if (anchor_)
    GST_DEBUG_OBJECT(session_.element().get(), "the timeline ends after %" G_GINT64_FORMAT " samples",
                     out_frames_);
  anchor_.reset();
  references_.clear();
  in_frames_ = out_frames_ = 0;
  for (PendingEvent& p : pending_) p.at_frame = 0;
  discont_ = true;
  publish_due_events();
}

void Worker::fail(const EngineError& error, const char* while_doing, bool for_good) {
  failed_ = true;
  // What the engine still held is lost; events no longer wait for it.
  in_frames_ = out_frames_;
  references_.clear();
  for (PendingEvent& p : pending_) p.at_frame = out_frames_;
  // Not reported when a flush or a stop has made the result irrelevant.
  if (session_.output.fail(epoch_, for_good)) {
    if (const ElementPtr element = session_.element()) post_engine_error(element.get(), error, while_doing);
  }
}

}  // namespace bsm
