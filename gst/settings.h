// What the properties say that are fixed while a stream runs. The element's copy is guarded by its object
// lock; a session works on a snapshot taken on READY->PAUSED.
#pragma once

#include <gst/gst.h>

#include <string>

#include "engine/engine.h"

namespace bsm {

inline constexpr int kRateHz = 44100;
/// From here on a GAP event ends the signal instead of counting as silence. It is also the default context.
inline constexpr GstClockTime kDefaultContextNs = 8 * GST_SECOND;
inline constexpr GstClockTime kMinLatencyNs = 50 * GST_MSECOND;
inline constexpr GstClockTime kMaxLatencyNs = 16 * GST_SECOND;
/// Hop 0.5 s and look-ahead 0.26 s with the shipped models, whose scores more does not raise by 0.1 dB.
inline constexpr GstClockTime kDefaultLatencyNs = 800 * GST_MSECOND;
/// What `latency` counts as in offline mode: hop and look-ahead of about 4 s each.
inline constexpr GstClockTime kOfflineLatencyNs = 8 * GST_SECOND;
inline constexpr gint64 kDerive = -1;
/// Defaults of audiobuffersplit: a timestamp may be off by 40 ms, and by more for one second.
inline constexpr GstClockTime kDefaultDiscontThresholdNs = 40 * GST_MSECOND;
inline constexpr GstClockTime kDefaultDiscontWaitNs = GST_SECOND;

enum class Mode { kAuto, kLive, kOffline };

struct Settings {
  std::string model_file;  ///< empty: look for the shipped model
  std::string device = "auto";
  BsmPrecision precision = BSM_PRECISION_AUTO;
  guint threads = 0;
  bool share_model = true;
  Mode mode = Mode::kAuto;
  BsmStreamingMode streaming_mode = BSM_STREAMING_CARRY;
  GstClockTime latency_ns = kDefaultLatencyNs;
  gint64 lookahead_ns = kDerive;
  gint64 hop_ns = kDerive;
  GstClockTime context_ns = kDefaultContextNs;
  gint64 processing_latency_ns = kDerive;
  GstClockTime discont_threshold_ns = kDefaultDiscontThresholdNs;
  GstClockTime discont_wait_ns = kDefaultDiscontWaitNs;

  /// The bound of hop + look-ahead + tail.
  GstClockTime bound_ns() const { return mode == Mode::kOffline ? kOfflineLatencyNs : latency_ns; }
};

}  // namespace bsm
