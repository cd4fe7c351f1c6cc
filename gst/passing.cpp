// When the mixture passes without being separated: on demand, for silence, and when the machine is too slow.
#include <algorithm>

#include "debug.h"
#include "messages.h"
#include "worker.h"

namespace bsm {
namespace {

constexpr int64_t kCrossFadeSamples = kRateHz / 100;
constexpr gint64 kWarningIntervalUs = 10 * G_USEC_PER_SEC;

int64_t samples_of(GstClockTime ns) {
  return static_cast<int64_t>(gst_util_uint64_scale(ns, kRateHz, GST_SECOND));
}

GstClockTime ns_of(int64_t samples) {
  return gst_util_uint64_scale(static_cast<guint64>(std::max<int64_t>(samples, 0)), GST_SECOND, kRateHz);
}

}  // namespace

void Worker::start_passing(Passing reason) {
  GST_DEBUG_OBJECT(session_.element().get(), "the mixture passes from sample %" G_GINT64_FORMAT " on: %s",
                   out_frames_,
                   reason == Passing::kBypass    ? "bypass"
                   : reason == Passing::kSilence ? "silence"
                                                 : "overload");
  separation_.detach();
  passing_ = reason;
  fade_.jump(0.0F);
}

/// Before the newest samples are computed: does the engine get them?
void Worker::choose_path() {
  const Controls& controls = *session_.controls;
  // Only when no part of the window can hold a sound: context, what is on its way, and what came now.
  const bool silent =
      controls.silence_skip &&
      separation_.silent_frames() >= samples_of(session_.settings.context_ns) + separation_.held_frames();
  if (separation_.attached()) {
    if (silent) start_passing(Passing::kSilence);
    return;
  }
  const bool still_behind =
      passing_ == Passing::kOverload && session_.input.queued_frames() > session_.input.last_push_frames();
  if (controls.bypass && !still_behind) passing_ = Passing::kBypass;
  if (controls.bypass || silent || still_behind) return;
  GST_DEBUG_OBJECT(session_.element().get(), "separating again from sample %" G_GINT64_FORMAT " on",
                   out_frames_);
  separation_.attach();
  // Out of silence nothing can click.
  if (passing_ == Passing::kSilence)
    fade_.jump(1.0F);
  else
    fade_.go(out_frames_, out_frames_ + kCrossFadeSamples, 1.0F);
  if (passing_ == Passing::kOverload && session_.overload_policy() == OverloadPolicy::kDrop) fade_.jump(1.0F);
  passing_ = Passing::kNo;
}

void Worker::compute() {
  const int64_t available_before = separation_.available();
  const gint64 start_us = g_get_monotonic_time();
  separation_.compute();
  const auto took_ns = static_cast<GstClockTime>(g_get_monotonic_time() - start_us) * GST_USECOND;
  const int64_t gained = separation_.available() - available_before;
  if (!separation_.attached() || gained <= 0) return;
  const GstClockTime gained_ns = ns_of(gained);
  GST_LOG_OBJECT(session_.element().get(), "%" G_GINT64_FORMAT " samples separated in %" GST_TIME_FORMAT,
                 gained, GST_TIME_ARGS(took_ns));
  session_.count([&](Statistics& s) {
    ++s.inferences;
    s.infer_last_ns = took_ns;
    s.infer_max_ns = std::max(s.infer_max_ns, took_ns);
    s.infer_total_ns += took_ns;
    s.separated_ns += gained_ns;
    s.rtf_max = std::max(s.rtf_max, static_cast<double>(took_ns) / static_cast<double>(gained_ns));
  });
  count_memory();
  behind_ = falls_behind(took_ns);
}

void Worker::count_memory() {
  const BsmDeviceMemory memory = model_.memory();
  session_.count([&](Statistics& s) {
    s.gpu_bytes = memory.held_bytes;
    s.gpu_bytes_peak = memory.held_bytes_peak;
  });
}

/// Whether the next inference would be late. A budget that was only measured grows when it proves too small.
bool Worker::falls_behind(GstClockTime took_ns) {
  if (!session_.is_live()) return false;
  Timing timing = session_.timing();
  const int64_t hop = separation_.info().hop_samples;
  if (took_ns > processing_ns(session_.settings, timing) && took_ns < ns_of(hop) &&
      session_.settings.processing_latency_ns == kDerive) {
    timing.warm_up_ns = static_cast<int64_t>(took_ns);
    session_.update_timing(timing);
  }
  if (session_.overload_policy() == OverloadPolicy::kBlock) return false;
  // What upstream delivers in one piece is not late.
  const int64_t waiting = session_.input.queued_frames() - session_.input.last_push_frames();
  return waiting + samples_of(took_ns) - hop > samples_of(processing_ns(session_.settings, timing));
}

/// After the newest samples are computed: is this the last separated output for now?
void Worker::plan_leaving(int64_t available) {
  if (!separation_.attached() || available <= 0) return;
  if (session_.controls->bypass)
    leaving_ = Passing::kBypass;
  else if (behind_)
    leaving_ = Passing::kOverload;
  if (leaving_ == Passing::kNo) return;
  const int64_t end = out_frames_ + available;
  fade_.go(end - std::min(available, kCrossFadeSamples), end, 0.0F);
}

void Worker::report_overload(int64_t frames, bool dropped) {
  const ElementPtr element = session_.element();
  if (!element || session_.stopped()) return;
  const Statistics s = session_.statistics();
  const GstClockTime pts = pts_of(out_frames_);
  const bool timed = segment_.format == GST_FORMAT_TIME;
  GstMessage* qos = gst_message_new_qos(
      GST_OBJECT(element.get()), session_.is_live(),
      timed ? gst_segment_to_running_time(&segment_, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE,
      timed ? gst_segment_to_stream_time(&segment_, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE, pts,
      ns_of(frames));
  // As sinks count: with what this message is about.
  gst_message_set_qos_stats(qos, GST_FORMAT_DEFAULT, s.processed_samples - s.bypassed_samples,
                            s.bypassed_samples + s.dropped_samples + static_cast<guint64>(frames));
  gst_element_post_message(element.get(), qos);
  const gint64 now_us = g_get_monotonic_time();
  if (warned_us_ >= 0 && now_us - warned_us_ < kWarningIntervalUs) return;
  warned_us_ = now_us;
  post_overload_warning(element.get(), s, dropped);
}

}  // namespace bsm
