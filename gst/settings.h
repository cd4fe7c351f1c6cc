// What the properties say. The element's copy is guarded by its object lock; a session works on a snapshot
// taken on READY->PAUSED.
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
inline constexpr gint64 kDerive = -1;

struct Settings {
  std::string model_file;  ///< empty: look for the shipped model
  std::string device = "auto";
  BsmPrecision precision = BSM_PRECISION_AUTO;
  guint threads = 0;
  BsmStreamingMode streaming_mode = BSM_STREAMING_CARRY;
  GstClockTime latency_ns = GST_SECOND;
  gint64 lookahead_ns = kDerive;
  gint64 hop_ns = kDerive;
  GstClockTime context_ns = kDefaultContextNs;
  gint64 processing_latency_ns = kDerive;
};

}  // namespace bsm
