// Live streams at once in one process: does the machine keep up with all of them?
//
//   live_streams [STREAMS] [SECONDS] [PROPERTY=VALUE...]
//       default: 2 30; BSMAMBA2_ENGINE, GST_BSMAMBA2SEP_MODEL and GST_PLUGIN_PATH as for any pipeline
//
// Each stream has an element and a clock of its own; the first two seconds, when models load, do not count.
// Prints a line per stream. Fails when one had to pass audio unseparated.
#include <gst/gst.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace {

struct Stream {
  GstElement* pipeline;
  GstElement* separator;
  guint64 bypassed_before = 0;
};

guint64 count(GstElement* separator, const char* field) {
  GstStructure* stats = nullptr;
  g_object_get(separator, "stats", &stats, nullptr);
  guint64 value = 0;
  gst_structure_get_uint64(stats, field, &value);
  gst_structure_free(stats);
  return value;
}

double factor(GstElement* separator, const char* field) {
  GstStructure* stats = nullptr;
  g_object_get(separator, "stats", &stats, nullptr);
  gdouble value = 0.0;
  gst_structure_get_double(stats, field, &value);
  gst_structure_free(stats);
  return value;
}

bool loaded(GstElement* separator) {
  gchar* device = nullptr;
  g_object_get(separator, "current-device", &device, nullptr);
  const bool is = device != nullptr && count(separator, "inferences") > 0;
  g_free(device);
  return is;
}

double resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmRSS:", 0) == 0) return std::atof(line.c_str() + 6) / 1024.0;
  return 0.0;
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  const int streams = argc > 1 ? std::atoi(argv[1]) : 2;
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 30;
  std::string properties;
  for (int i = 3; i < argc; ++i) properties += std::string(" ") + argv[i];
  std::vector<Stream> all;
  for (int i = 0; i < streams; ++i) {
    const std::string line =
        "audiotestsrc is-live=true wave=white-noise volume=0.3 samplesperbuffer=441 ! "
        "audio/x-raw,format=F32LE,rate=44100,channels=2 ! bsmamba2sep name=s" +
        properties + " s.vocals ! fakesink sync=true s.instrumental ! fakesink sync=true";
    GError* error = nullptr;
    GstElement* pipeline = gst_parse_launch(line.c_str(), &error);
    if (error) {
      std::fprintf(stderr, "%s\n", error->message);
      return 2;
    }
    all.push_back({pipeline, gst_bin_get_by_name(GST_BIN(pipeline), "s")});
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
  }
  for (const Stream& stream : all)
    for (int i = 0; i < 6000 && !loaded(stream.separator); ++i) g_usleep(10000);
  g_usleep(2 * G_USEC_PER_SEC);
  for (Stream& stream : all) stream.bypassed_before = count(stream.separator, "bypassed");
  g_usleep(static_cast<gulong>(seconds) * G_USEC_PER_SEC);
  bool good = true;
  for (const Stream& stream : all) {
    const guint64 bypassed = count(stream.separator, "bypassed") - stream.bypassed_before;
    good = good && bypassed == 0 && loaded(stream.separator);
    std::printf(
        "%llu inferences, real-time factor %.3f on average and %.3f at most, latency %.0f ms, %.2f s passed "
        "unseparated of %d s\n",
        static_cast<unsigned long long>(count(stream.separator, "inferences")),
        factor(stream.separator, "rtf-avg"), factor(stream.separator, "rtf-max"),
        static_cast<double>(count(stream.separator, "latency")) / 1e6,
        static_cast<double>(bypassed) / 44100.0, seconds);
  }
  std::printf("memory %.0f MiB: %s\n", resident_mib(), good ? "good" : "TOO SLOW");
  for (const Stream& stream : all) {
    gst_element_set_state(stream.pipeline, GST_STATE_NULL);
    gst_object_unref(stream.separator);
    gst_object_unref(stream.pipeline);
  }
  return good ? 0 : 1;
}
