// A program that ends in the middle of what the element does, without stopping it, as applications do that
// call exit().
//
//   gst_exit_at loading|warm-up|inference run|stop|thread DELAY_US
//
// "stop" sets the pipeline to NULL before: the worker outlives that, and is still in its inference at exit.
// "thread" calls exit() in a thread that is not the main one and never had to do with the element.
// exit_test.cpp starts it.
#include <dlfcn.h>
#include <gst/gst.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>

#include "fake_engine.h"
#include "late_statics.h"
#include "tsan_options.h"

namespace {

/// A fake engine takes its time; a true one needs it.
void slow_down_fake_engine() {
  void* library = dlopen(g_getenv("BSMAMBA2_ENGINE"), RTLD_LAZY);
  if (!library) g_error("%s", dlerror());
  const auto control = reinterpret_cast<bsm::fake::ControlFunc>(dlsym(library, bsm::fake::kControlSymbol));
  if (!control) return;
  control()->load_ms = 100;
  control()->stream_open_ms = 100;
  control()->inference_ms = 100;
}

guint64 inferences(GstElement* separator) {
  GstStructure* stats = nullptr;
  g_object_get(separator, "stats", &stats, nullptr);
  guint64 value = 0;
  gst_structure_get_uint64(stats, "inferences", &value);
  gst_structure_free(stats);
  return value;
}

/// Until PROGRESS says that `code` has begun.
void wait_for_progress(GstBus* bus, const std::string& code) {
  for (bool begun = false; !begun;) {
    GstMessage* message = gst_bus_timed_pop_filtered(
        bus, GST_CLOCK_TIME_NONE, static_cast<GstMessageType>(GST_MESSAGE_PROGRESS | GST_MESSAGE_ERROR));
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) g_error("an error came before %s", code.c_str());
    gchar* said = nullptr;
    gst_message_parse_progress(message, nullptr, &said, nullptr);
    begun = code == said;
    g_free(said);
    gst_message_unref(message);
  }
}

}  // namespace

/// Nothing is given back when a program ends so; AddressSanitizer builds are not to look for it.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  if (argc != 4) g_error("usage: %s loading|warm-up|inference run|stop|thread DELAY_US", argv[0]);
  const std::string moment = argv[1];
  const std::string way = argv[2];
  slow_down_fake_engine();
  static GstElement* pipeline = gst_parse_launch(
      "audiotestsrc wave=pink-noise ! audio/x-raw,rate=44100,channels=2 ! bsmamba2sep name=s "
      "latency=200000000 "
      "s.instrumental ! fakesink  s.vocals ! fakesink",
      nullptr);
  static GstElement* separator = gst_bin_get_by_name(GST_BIN(pipeline), "s");
  static GstBus* bus = gst_element_get_bus(pipeline);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  if (moment == "loading") wait_for_progress(bus, "load-model");
  if (moment == "warm-up") wait_for_progress(bus, "warm-up");
  if (moment == "inference")
    while (inferences(separator) < 2) usleep(1000);
  usleep(static_cast<useconds_t>(std::atoi(argv[3])));
  if (const std::string place = bsm::test::first_late_static(); !place.empty())
    g_error("the worker made what exit() destroys before it ends the worker: %s", place.c_str());
  if (way == "stop") gst_element_set_state(pipeline, GST_STATE_NULL);
  if (way == "thread") std::thread([] { std::exit(0); }).join();
  std::exit(0);
}
