// Hours of audio through the element as fast as they go: memory stays flat, and how long hops take.
//
//   soak [HOURS]      default: 2; BSMAMBA2_ENGINE, GST_BSMAMBA2SEP_MODEL and GST_PLUGIN_PATH as for any
//   pipeline
//
// Prints one line of figures. Fails when memory grows by more than 4 MiB after the first tenth, or samples
// are missing.
#include <gst/gst.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr int kRateHz = 44100;
constexpr int kBlockSamples = 4410;
constexpr double kGrowthMib = 4.0;

struct Run {
  gint64 last_us = 0;
  std::vector<float> hop_ms;  ///< between one buffer and the next
  guint64 samples = 0, tenth_samples = 0;
  double early_mib = 0.0;
};

double resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmRSS:", 0) == 0) return std::atof(line.c_str() + 6) / 1024.0;
  return 0.0;
}

GstPadProbeReturn on_buffer(GstPad*, GstPadProbeInfo* info, gpointer data) {
  auto& run = *static_cast<Run*>(data);
  const gint64 now_us = g_get_monotonic_time();
  if (run.last_us) run.hop_ms.push_back(static_cast<float>(now_us - run.last_us) / 1000.0F);
  run.last_us = now_us;
  run.samples += gst_buffer_get_size(GST_PAD_PROBE_INFO_BUFFER(info)) / (2 * sizeof(float));
  if (run.early_mib == 0.0 && run.samples >= run.tenth_samples) run.early_mib = resident_mib();
  return GST_PAD_PROBE_OK;
}

double percentile(const std::vector<float>& sorted, double share) {
  return sorted.empty() ? 0.0 : sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  const double hours = argc > 1 ? std::atof(argv[1]) : 2.0;
  const auto blocks = static_cast<gint64>(hours * 3600 * kRateHz / kBlockSamples);
  const std::string line = "audiotestsrc wave=white-noise volume=0.3 num-buffers=" + std::to_string(blocks) +
                           " samplesperbuffer=" + std::to_string(kBlockSamples) +
                           " ! audio/x-raw,format=F32LE,rate=44100,channels=2 ! bsmamba2sep name=s "
                           "s.vocals ! fakesink s.instrumental ! fakesink";
  GError* error = nullptr;
  GstElement* pipeline = gst_parse_launch(line.c_str(), &error);
  if (error) {
    std::fprintf(stderr, "%s\n", error->message);
    return 2;
  }
  Run run;
  run.tenth_samples = static_cast<guint64>(blocks * kBlockSamples / 10);
  run.hop_ms.reserve(static_cast<size_t>(hours * 3600 * 100));
  GstElement* separator = gst_bin_get_by_name(GST_BIN(pipeline), "s");
  GstPad* vocals = gst_element_get_static_pad(separator, "vocals");
  gst_pad_add_probe(vocals, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, &run, nullptr);

  const gint64 start_us = g_get_monotonic_time();
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus* bus = gst_element_get_bus(pipeline);
  GstMessage* end = gst_bus_timed_pop_filtered(
      bus, GST_CLOCK_TIME_NONE, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  const double seconds = static_cast<double>(g_get_monotonic_time() - start_us) / G_USEC_PER_SEC;
  const double late_mib = resident_mib();
  bool good =
      GST_MESSAGE_TYPE(end) == GST_MESSAGE_EOS && run.samples == static_cast<guint64>(blocks * kBlockSamples);
  good = good && late_mib - run.early_mib <= kGrowthMib;
  std::sort(run.hop_ms.begin(), run.hop_ms.end());
  std::printf(
      "%.2f h of audio in %.1f s, %llu samples, memory %.1f MiB after a tenth and %.1f MiB at the end, hop "
      "median %.2f ms, "
      "p99 %.2f ms, longest %.2f ms: %s\n",
      hours, seconds, static_cast<unsigned long long>(run.samples), run.early_mib, late_mib,
      percentile(run.hop_ms, 0.5), percentile(run.hop_ms, 0.99), percentile(run.hop_ms, 1.0),
      good ? "good" : "FAILED");
  gst_message_unref(end);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(bus);
  gst_object_unref(vocals);
  gst_object_unref(separator);
  gst_object_unref(pipeline);
  return good ? 0 : 1;
}
