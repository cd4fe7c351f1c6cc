// The structure of the property `stats` and of the element message.
#include "statistics.h"

#include "element.h"

namespace bsm {

GstStructure* make_statistics(const char* name, const Session* session, const OwnLatency& latency) {
  const Statistics s = session ? session->statistics() : Statistics{};
  const int64_t queued = session ? session->input.queued_frames() + session->output.queued_frames() : 0;
  const double rtf_avg =
      s.separated_ns ? static_cast<double>(s.infer_total_ns) / static_cast<double>(s.separated_ns) : 0.0;
  const std::string device = session ? session->current_device() : "";
  return gst_structure_new(
      name, "processed", G_TYPE_UINT64, s.processed_samples, "bypassed", G_TYPE_UINT64, s.bypassed_samples,
      "skipped", G_TYPE_UINT64, s.skipped_samples, "dropped", G_TYPE_UINT64, s.dropped_samples, "inferences",
      G_TYPE_UINT64, s.inferences, "discontinuities", G_TYPE_UINT64, s.discontinuities, "rtf-avg",
      G_TYPE_DOUBLE, rtf_avg, "rtf-max", G_TYPE_DOUBLE, s.rtf_max, "infer-time-last", G_TYPE_UINT64,
      s.infer_last_ns, "infer-time-avg", G_TYPE_UINT64,
      s.inferences ? s.infer_total_ns / s.inferences : guint64{0}, "infer-time-max", G_TYPE_UINT64,
      s.infer_max_ns, "queued", G_TYPE_UINT64,
      gst_util_uint64_scale(static_cast<guint64>(queued), GST_SECOND, kRateHz), "latency", G_TYPE_UINT64,
      latency.min, "live", G_TYPE_BOOLEAN, session && session->is_live(), "device", G_TYPE_STRING,
      device.c_str(), "gpu-mem", G_TYPE_UINT64, s.gpu_bytes, "gpu-mem-peak", G_TYPE_UINT64, s.gpu_bytes_peak,
      nullptr);
}

}  // namespace bsm
