// Live streams at once in one process: does the machine keep up with all of them?
//
//   live_streams [STREAMS] [SECONDS] [PROPERTY=VALUE...]
//       default: 2 30; BSMAMBA2_ENGINE, GST_BSMAMBA2SEP_MODEL and GST_PLUGIN_PATH as for any pipeline
//
// Each stream has an element and a clock of its own, and its latency follows what the element announces. The
// first two seconds after the last one has loaded do not count. Prints a line per stream. Fails when one had
// to pass audio unseparated or to drop it, when less has left than came in, and at once on an ERROR.
#include <gst/gst.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr double kRateHz = 44100.0;
constexpr int kLoadingLimitS = 120;

struct Counts {
  guint64 processed = 0, bypassed = 0, dropped = 0, inferences = 0, late = 0;
};

struct Stream {
  GstElement* pipeline;
  GstElement* separator;
  std::vector<GstElement*> sinks;
  Counts before;
  int qos = 0;
};

GstStructure* structure(GstElement* element) {
  GstStructure* stats = nullptr;
  g_object_get(element, "stats", &stats, nullptr);
  return stats;
}

guint64 count(const GstStructure* stats, const char* field) {
  guint64 value = 0;
  gst_structure_get_uint64(stats, field, &value);
  return value;
}

Counts counts(const Stream& stream) {
  GstStructure* stats = structure(stream.separator);
  Counts now{count(stats, "processed"), count(stats, "bypassed"), count(stats, "dropped"),
             count(stats, "inferences")};
  gst_structure_free(stats);
  for (GstElement* sink : stream.sinks) {
    GstStructure* shown = structure(sink);
    now.late += count(shown, "dropped");
    gst_structure_free(shown);
  }
  return now;
}

double resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmRSS:", 0) == 0) return std::atof(line.c_str() + 6) / 1024.0;
  return 0.0;
}

Stream start(const std::string& properties) {
  const std::string line =
      "audiotestsrc is-live=true wave=white-noise volume=0.3 samplesperbuffer=441 ! "
      "audio/x-raw,format=F32LE,rate=44100,channels=2 ! bsmamba2sep name=s" +
      properties +
      " s.vocals ! fakesink name=vocals sync=true max-lateness=20000000"
      " s.instrumental ! fakesink name=instrumental sync=true max-lateness=20000000";
  GError* error = nullptr;
  GstElement* pipeline = gst_parse_launch(line.c_str(), &error);
  if (error) {
    std::fprintf(stderr, "%s\n", error->message);
    std::exit(2);
  }
  GstBin* bin = GST_BIN(pipeline);
  Stream stream{pipeline, gst_bin_get_by_name(bin, "s"), {}, {}};
  for (const char* sink : {"vocals", "instrumental"}) stream.sinks.push_back(gst_bin_get_by_name(bin, sink));
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  return stream;
}

/// What an application does with the messages that are there.
void listen(Stream* stream) {
  GstBus* bus = gst_element_get_bus(stream->pipeline);
  while (GstMessage* message = gst_bus_pop(bus)) {
    const GstMessageType type = GST_MESSAGE_TYPE(message);
    if (type == GST_MESSAGE_LATENCY) gst_bin_recalculate_latency(GST_BIN(stream->pipeline));
    if (type == GST_MESSAGE_QOS && GST_MESSAGE_SRC(message) == GST_OBJECT(stream->separator)) ++stream->qos;
    if (type == GST_MESSAGE_WARNING || type == GST_MESSAGE_ERROR) {
      GError* error = nullptr;
      (type == GST_MESSAGE_ERROR ? gst_message_parse_error : gst_message_parse_warning)(message, &error,
                                                                                        nullptr);
      std::fprintf(stderr, "%s: %s\n", gst_message_type_get_name(type), error->message);
      if (type == GST_MESSAGE_ERROR) std::exit(1);
      g_error_free(error);
    }
    gst_message_unref(message);
  }
  gst_object_unref(bus);
}

void wait(std::vector<Stream>* all, double seconds) {
  const gint64 end = g_get_monotonic_time() + static_cast<gint64>(seconds * G_USEC_PER_SEC);
  while (g_get_monotonic_time() < end) {
    for (Stream& stream : *all) listen(&stream);
    g_usleep(10000);
  }
}

void wait_until_loaded(std::vector<Stream>* all) {
  const gint64 end = g_get_monotonic_time() + kLoadingLimitS * G_USEC_PER_SEC;
  for (const Stream& stream : *all) {
    while (counts(stream).inferences == 0) {
      if (g_get_monotonic_time() > end) {
        std::fprintf(stderr, "no inference within %d s\n", kLoadingLimitS);
        std::exit(1);
      }
      wait(all, 0.01);
    }
  }
}

/// Prints what the stream did since `before`, and says whether it kept real time.
bool report(const Stream& stream, int seconds) {
  const Counts now = counts(stream);
  GstStructure* stats = structure(stream.separator);
  gdouble average = 0.0, most = 0.0;
  gst_structure_get(stats, "rtf-avg", G_TYPE_DOUBLE, &average, "rtf-max", G_TYPE_DOUBLE, &most, nullptr);
  const double latency_s = static_cast<double>(count(stats, "latency")) / 1e9;
  const auto seconds_of = [](guint64 later, guint64 earlier) {
    return static_cast<double>(later - earlier) / kRateHz;
  };
  const double left_s = seconds_of(now.processed, stream.before.processed),
               bypassed_s = seconds_of(now.bypassed, stream.before.bypassed),
               dropped_s = seconds_of(now.dropped, stream.before.dropped);
  // At either end of the time up to one hop may be on its way.
  const bool good = bypassed_s == 0.0 && dropped_s == 0.0 && left_s >= seconds - latency_s;
  std::printf(
      "%s: %llu inferences, real-time factor %.3f on average and %.3f at most, latency %.0f ms; of %d s %.2f "
      "left, %.2f unseparated, %.2f dropped; %llu buffers late at the sinks, %d QOS messages\n",
      gst_structure_get_string(stats, "device"), static_cast<unsigned long long>(now.inferences), average,
      most, latency_s * 1e3, seconds, left_s, bypassed_s, dropped_s,
      static_cast<unsigned long long>(now.late - stream.before.late), stream.qos);
  gst_structure_free(stats);
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  const int streams = argc > 1 ? std::atoi(argv[1]) : 2;
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 30;
  if (streams < 1 || seconds < 1) {
    std::fprintf(stderr, "usage: live_streams [STREAMS] [SECONDS] [PROPERTY=VALUE...]\n");
    return 2;
  }
  std::string properties;
  for (int i = 3; i < argc; ++i) properties += std::string(" ") + argv[i];
  std::vector<Stream> all;
  for (int i = 0; i < streams; ++i) all.push_back(start(properties));
  wait_until_loaded(&all);
  wait(&all, 2.0);
  for (Stream& stream : all) {
    stream.before = counts(stream);
    stream.qos = 0;
  }
  wait(&all, seconds);
  bool good = true;
  for (const Stream& stream : all) good = report(stream, seconds) && good;
  std::printf("memory %.0f MiB: %s\n", resident_mib(), good ? "good" : "TOO SLOW");
  for (const Stream& stream : all) {
    gst_element_set_state(stream.pipeline, GST_STATE_NULL);
    for (GstElement* sink : stream.sinks) gst_object_unref(sink);
    gst_object_unref(stream.separator);
    gst_object_unref(stream.pipeline);
  }
  return good ? 0 : 1;
}
