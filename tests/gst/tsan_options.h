// Included once by each program.
#pragma once

// Read by ThreadSanitizer builds. GLib and GStreamer are not instrumented, so the handing over of a new
// element to the thread of a pad task looks unsynchronised; nothing writes there afterwards.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }
extern "C" const char* __tsan_default_suppressions() {
  return "race:gst_bsmamba2_sep_init\nrace:^bsm::priv(\nrace:^bsm::pad_index(\n";
}
