#include "latency.h"

#include <algorithm>

namespace bsm {
namespace {

int64_t samples_floor(GstClockTime ns) {
  return static_cast<int64_t>(gst_util_uint64_scale(ns, kRateHz, GST_SECOND));
}

GstClockTime ns_ceil(int64_t samples) {
  return gst_util_uint64_scale_ceil(static_cast<guint64>(samples), GST_SECOND, kRateHz);
}

/// How a bound is shared between hop and look-ahead. By the tables of quality against latency (models/*.md) a
/// quarter of a second of look-ahead is worth nearly as much as half a second, while a longer hop costs less.
/// So the hop takes what is more, up to a length from where on only more look-ahead gains anything.
constexpr GstClockTime kEnoughLookaheadNs = 260 * GST_MSECOND;
constexpr GstClockTime kEnoughHopNs = 740 * GST_MSECOND;

int64_t floor_to(int64_t samples, int64_t step) { return std::max<int64_t>(samples, 0) / step * step; }

int64_t ceil_to(GstClockTime ns, int64_t step) {
  const auto samples = static_cast<int64_t>(gst_util_uint64_scale_round(ns, kRateHz, GST_SECOND));
  return (samples + step - 1) / step * step;
}

/// Before the model is loaded: the bound that the user set, or the sum of the two parts that the user set.
int64_t delay_samples(const Settings& settings, const Timing& timing) {
  if (timing.delay_samples >= 0) return timing.delay_samples;
  const StreamShape shape = derive_shape(settings, timing.frame_hop_samples, timing.tail_samples);
  const int64_t derived = shape.hop_samples + shape.lookahead_samples + timing.tail_samples;
  if (settings.hop_ns >= 0 && settings.lookahead_ns >= 0) return derived;
  return std::max(derived, samples_floor(settings.bound_ns()));
}

}  // namespace

StreamShape derive_shape(const Settings& settings, int frame_hop_samples, int tail_samples) {
  const int64_t frame = frame_hop_samples;
  const int64_t budget = samples_floor(settings.bound_ns()) - tail_samples;
  StreamShape shape{};
  if (settings.hop_ns >= 0) {
    shape.hop_samples = std::max(frame, ceil_to(settings.hop_ns, frame));
    shape.lookahead_samples = settings.lookahead_ns >= 0 ? ceil_to(settings.lookahead_ns, frame)
                                                         : floor_to(budget - shape.hop_samples, frame);
  } else if (settings.lookahead_ns >= 0) {
    shape.lookahead_samples = ceil_to(settings.lookahead_ns, frame);
    shape.hop_samples = std::max(frame, floor_to(budget - shape.lookahead_samples, frame));
  } else {
    const int64_t wanted = std::max(samples_floor(kEnoughLookaheadNs), budget - samples_floor(kEnoughHopNs));
    shape.lookahead_samples = floor_to(std::min(budget / 2, wanted), frame);
    shape.hop_samples = std::max(frame, floor_to(budget - shape.lookahead_samples, frame));
  }
  shape.context_samples = ceil_to(settings.context_ns, frame);
  return shape;
}

GstClockTime processing_ns(const Settings& settings, const Timing& timing) {
  if (settings.processing_latency_ns >= 0) return settings.processing_latency_ns;
  if (timing.warm_up_ns >= 0) return timing.warm_up_ns + timing.warm_up_ns / 4;
  return ns_ceil(derive_shape(settings, timing.frame_hop_samples, timing.tail_samples).hop_samples) / 4;
}

int64_t ring_capacity_samples(const Settings& settings, const Timing& timing) {
  const StreamShape shape = derive_shape(settings, timing.frame_hop_samples, timing.tail_samples);
  return delay_samples(settings, timing) + samples_floor(processing_ns(settings, timing)) +
         2 * shape.hop_samples;
}

OwnLatency own_latency(const Settings& settings, const Timing& timing) {
  const GstClockTime delay = ns_ceil(delay_samples(settings, timing));
  return {delay + processing_ns(settings, timing), delay + ns_ceil(ring_capacity_samples(settings, timing))};
}

}  // namespace bsm
