// Separated samples become buffers: all pads get the same cuts, timestamps and flags.
#include <algorithm>
#include <array>
#include <utility>

#include "debug.h"
#include "element.h"
#include "messages.h"
#include "worker.h"

namespace bsm {
namespace {

constexpr int64_t kGainStepSamples = kRateHz / 100;

GstClockTime duration_ns(int64_t frames) {
  return gst_util_uint64_scale(static_cast<guint64>(frames), GST_SECOND, kRateHz);
}

}  // namespace

void Worker::publish_available() {
  int64_t available = separation_.available();
  plan_leaving(available);
  publish_due_events();
  const bool dropping = passing_ == Passing::kOverload && session_.overload_policy() == OverloadPolicy::kDrop;
  if (passing_ == Passing::kOverload && available > 0) report_overload(available, dropping);
  while (available > 0 && !superseded_) {
    // A block ends where an event belongs.
    int64_t frames = std::min(available, std::max<int64_t>(separation_.info().hop_samples, 1));
    if (!pending_.empty()) frames = std::min(frames, pending_.front().at_frame - out_frames_);
    if (dropping)
      publish_gap(frames);
    else
      publish_block(frames);
    available -= frames;
    publish_due_events();
  }
  if (const Passing reason = std::exchange(leaving_, Passing::kNo); reason != Passing::kNo)
    start_passing(reason);
}

void Worker::publish_block(int64_t frames) {
  Block block(static_cast<size_t>(frames * channels_) * sizeof(float),
              [&](int pad) { return session_.output.is_active(pad); });
  pull(&block, frames);
  fade(&block, frames);
  if (float* voice = block.samples(kFirstStem + voice_stem_))
    std::copy_n(block.samples(kVocals), frames * channels_, voice);
  apply_gains_to(&block, frames);
  const bool silent = block.silent();
  stamp_and_push(block.release(), frames, silent);
}

/// Outputs of the network: the stems in order, then the rest of the mixture. Everything but the voice is the
/// instrumental.
void Worker::pull(Block* block, int64_t frames) {
  const auto floats = static_cast<size_t>(frames * channels_);
  std::array<float*, BSM_MAX_STEMS + 1> outputs{};
  const size_t stems = stems_.size();
  for (size_t i = 0; i < stems; ++i) {
    outputs[i] = static_cast<int>(i) == voice_stem_ ? block->samples(kVocals)
                                                    : block->samples(kFirstStem + static_cast<int>(i));
    if (outputs[i]) continue;
    stems_[i].resize(floats);
    outputs[i] = stems_[i].data();
  }
  float* instrumental = outputs[stems] = block->samples(kInstrumental);
  mixture_.resize(floats);
  separation_.pull(outputs.data(), mixture_.data(), frames);
  if (!separation_.attached()) return;
  for (size_t stem = 0; stem < stems; ++stem) {
    if (static_cast<int>(stem) == voice_stem_) continue;
    for (size_t i = 0; i < floats; ++i) instrumental[i] += outputs[stem][i];
  }
}

/// Towards the mixture alone: the stems get silent, the instrumental becomes the mixture.
void Worker::fade(Block* block, int64_t frames) {
  const int64_t begin = out_frames_;
  const bool constant = fade_.is_constant(begin, begin + frames);
  if (constant && fade_.at(begin) == 1.0F) return;
  float* instrumental = block->samples(kInstrumental);
  if (constant && fade_.at(begin) == 0.0F) {
    std::copy_n(mixture_.begin(), frames * channels_, instrumental);
    for (int pad = 0; pad < kMaxPads; ++pad)
      if (float* stem = block->samples(pad); stem && pad != kInstrumental)
        std::fill_n(stem, frames * channels_, 0.0F);
    return;
  }
  for (int64_t frame = 0; frame < frames; ++frame) {
    const float share = fade_.at(begin + frame);
    if (share == 1.0F) continue;
    for (int64_t i = frame * channels_; i < (frame + 1) * channels_; ++i) {
      for (int pad = 0; pad < kMaxPads; ++pad)
        if (float* stem = block->samples(pad); stem && pad != kInstrumental) stem[i] *= share;
      instrumental[i] = mixture_[static_cast<size_t>(i)] - block->samples(kVocals)[i];
    }
  }
}

void Worker::apply_gains_to(Block* block, int64_t frames) {
  const ElementPtr owner = session_.element();
  GstObject* controlled = owner && gst_object_has_active_control_bindings(GST_OBJECT(owner.get()))
                              ? GST_OBJECT(owner.get())
                              : nullptr;
  if (discont_) gains_ = gains_at(controlled, out_frames_);
  for (int64_t done = 0; done < frames; done += kGainStepSamples) {
    const int64_t step = std::min(kGainStepSamples, frames - done);
    const Gains next = gains_at(controlled, out_frames_ + done + step);
    apply_gains(gains_, next, block->samples(kVocals) + done * channels_,
                block->samples(kInstrumental) + done * channels_, step, channels_);
    gains_ = next;
  }
}

/// What the properties say at that sample's stream time (`controlled`: the element, when a controller moves
/// them).
Gains Worker::gains_at(GstObject* controlled, int64_t frame) {
  if (controlled && segment_.format == GST_FORMAT_TIME) {
    const GstClockTime time = gst_segment_to_stream_time(&segment_, GST_FORMAT_TIME, pts_of(frame));
    if (GST_CLOCK_TIME_IS_VALID(time)) gst_object_sync_values(controlled, time);
  }
  const Controls& controls = *session_.controls;
  return {controls.vocals_gain, controls.instrumental_gain, controls.guide_level};
}

void Worker::publish_gap(int64_t frames) {
  mixture_.resize(static_cast<size_t>(frames * channels_));
  separation_.pull(nullptr, mixture_.data(), frames);
  const GstClockTime begin = pts_of(out_frames_);
  EventPtr gap(gst_event_new_gap(begin, pts_of(out_frames_ + frames) - begin));
  if (!session_.output.push_event(epoch_, &gap)) {
    superseded_ = true;
    return;
  }
  discont_ = true;
  take_references(frames, nullptr);
  out_frames_ += frames;
  session_.count([&](Statistics& s) { s.dropped_samples += static_cast<guint64>(frames); });
}

void Worker::publish_unseparated(const float* mixture, int64_t frames) {
  mixture_.assign(mixture, mixture + frames * channels_);
  Block block(mixture_.size() * sizeof(float), [&](int pad) { return session_.output.is_active(pad); });
  fade_.jump(0.0F);
  fade(&block, frames);
  apply_gains_to(&block, frames);
  const bool silent = block.silent();
  stamp_and_push(block.release(), frames, silent);
  publish_due_events();
}

void Worker::publish_due_events() {
  while (!pending_.empty() && pending_.front().at_frame <= out_frames_) {
    EventPtr& event = pending_.front().event;
    if (GST_EVENT_TYPE(event.get()) == GST_EVENT_SEGMENT) gst_event_copy_segment(event.get(), &segment_);
    if (!session_.output.push_event(epoch_, &event)) {
      superseded_ = true;
      return;
    }
    pending_.pop_front();
  }
}

/// Counted from the anchor, so that rounding never adds up: PTS + DURATION is the next PTS exactly.
GstClockTime Worker::pts_of(int64_t frame) const { return anchor_->pts + duration_ns(frame); }

/// References of samples in the block go to its buffers (NULL: with them).
void Worker::take_references(int64_t frames, PadBuffers* buffers) {
  for (; !references_.empty() && references_.front().at_frame < out_frames_ + frames;
       references_.pop_front()) {
    const PendingReference& next = references_.front();
    if (!buffers) continue;
    for (const BufferPtr& buffer : *buffers)
      if (buffer) add_reference(buffer.get(), next.reference, duration_ns(next.at_frame - out_frames_));
  }
}

void Worker::stamp_and_push(PadBuffers buffers, int64_t frames, bool silent) {
  const GstClockTime begin = pts_of(out_frames_), end = pts_of(out_frames_ + frames);
  for (const BufferPtr& buffer : buffers) {
    if (!buffer) continue;
    GST_BUFFER_PTS(buffer.get()) = begin;
    GST_BUFFER_DURATION(buffer.get()) = end - begin;
    if (anchor_->offset != GST_BUFFER_OFFSET_NONE) {
      GST_BUFFER_OFFSET(buffer.get()) = anchor_->offset + static_cast<guint64>(out_frames_);
      GST_BUFFER_OFFSET_END(buffer.get()) = anchor_->offset + static_cast<guint64>(out_frames_ + frames);
    }
    if (discont_) GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_RESYNC);
    if (silent) GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_GAP);
  }
  GST_TRACE_OBJECT(session_.element().get(), "%" G_GINT64_FORMAT " samples at %" GST_TIME_FORMAT, frames,
                   GST_TIME_ARGS(begin));
  take_references(frames, &buffers);
  if (!session_.output.push_buffers(epoch_, std::move(buffers), frames)) {
    superseded_ = true;
    return;
  }
  discont_ = false;
  count_published(frames);
  out_frames_ += frames;
}

void Worker::count_published(int64_t frames) {
  const auto samples = static_cast<guint64>(frames);
  const bool passes = passing_ != Passing::kNo || anchor_->reverse;
  session_.count([&](Statistics& s) {
    s.processed_samples += samples;
    if (passing_ == Passing::kSilence)
      s.skipped_samples += samples;
    else if (passes)
      s.bypassed_samples += samples;
  });
  since_message_ns_ += duration_ns(frames);
  const Controls& controls = *session_.controls;
  if (!controls.post_messages || since_message_ns_ < controls.interval_ns) return;
  since_message_ns_ = 0;
  if (const ElementPtr element = session_.element(); element && !session_.stopped())
    post_statistics(element.get(), session_, segment_, pts_of(out_frames_ + frames));
}

}  // namespace bsm
