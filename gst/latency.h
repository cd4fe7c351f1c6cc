// From properties to hop, look-ahead and the answer to the LATENCY query.
#pragma once

#include <gst/gst.h>

#include <cstdint>

#include "settings.h"

namespace bsm {

/// Front end of the networks, used until the model file has said its own: STFT hop and n_fft - hop.
inline constexpr int kAssumedFrameHopSamples = 441;
inline constexpr int kAssumedTailSamples = 2048 - 441;

/// Sizes that the engine is asked for; whole frames.
struct StreamShape {
  int64_t hop_samples;
  int64_t lookahead_samples;
  int64_t context_samples;
};

/// What is known about a loaded model; -1 = not yet.
struct Timing {
  int frame_hop_samples = kAssumedFrameHopSamples;
  int tail_samples = kAssumedTailSamples;
  int64_t delay_samples = -1;  ///< exact once the model is loaded
  int64_t warm_up_ns = -1;     ///< one warmed-up inference
};

struct OwnLatency {
  GstClockTime min;  ///< delay + processing budget
  GstClockTime max;  ///< what the element can hold before it blocks upstream
};

/// hop + look-ahead + tail <= latency. Both derived: they share the budget equally; one given: the other
/// takes the rest; both given: `latency` is ignored. The hop is at least one frame, the look-ahead at least
/// none.
StreamShape derive_shape(const Settings& settings, int frame_hop_samples, int tail_samples);

/// Time granted to one inference: the property, else the warm-up plus a quarter for jitter, else (not
/// measured yet) a quarter of a hop.
GstClockTime processing_ns(const Settings& settings, const Timing& timing);

/// Capacity of the input ring: own minimum latency + two hops.
int64_t ring_capacity_samples(const Settings& settings, const Timing& timing);

OwnLatency own_latency(const Settings& settings, const Timing& timing);

}  // namespace bsm
