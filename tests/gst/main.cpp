// GoogleTest's main, with GStreamer around it.
#include <gst/gst.h>
#include <gtest/gtest.h>

// Read by AddressSanitizer builds: GLib's constructors keep a table that the leak check no longer finds, and
// GStreamer 1.22 loses a factory of its own tracers when it makes or reads a registry; telling both by their
// stacks needs whole stacks. valgrind.supp has the same two.
extern "C" const char* __asan_default_options();
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __asan_default_options() { return "fast_unwind_on_malloc=0"; }
extern "C" const char* __lsan_default_suppressions() { return "leak:_dl_init\nleak:gst_update_registry\n"; }

// Read by ThreadSanitizer builds. GLib and GStreamer are not instrumented, so the handing over of a new
// element to the thread of a pad task looks unsynchronised; nothing writes there afterwards.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }
extern "C" const char* __tsan_default_suppressions() {
  return "race:gst_bsmamba2_sep_init\nrace:^bsm::priv(\nrace:^bsm::pad_index(\n";
}

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  gst_deinit();
  return result;
}
