// What is counted while a session runs, and how it is shown.
#pragma once

#include <gst/gst.h>

namespace bsm {

/// Counted since READY->PAUSED. Samples are per pad.
struct Statistics {
  guint64 processed_samples = 0;  ///< that left the worker as buffers
  guint64 bypassed_samples = 0;   ///< of these: the mixture passed through, because of bypass or overload
  guint64 skipped_samples = 0;    ///< of these: silence that needed no inference
  guint64 dropped_samples = 0;    ///< became GAP events
  guint64 inferences = 0;
  guint64 discontinuities = 0;  ///< starts of a timeline after the first one
  GstClockTime infer_last_ns = 0, infer_max_ns = 0, infer_total_ns = 0;
  GstClockTime separated_ns = 0;  ///< audio that the inferences covered
  double rtf_max = 0.0;
  guint64 gpu_bytes = 0, gpu_bytes_peak = 0;  ///< as in BsmDeviceMemory, at the last inference
};

}  // namespace bsm
