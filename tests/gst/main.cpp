// GoogleTest's main, with GStreamer around it.
#include <gst/gst.h>
#include <gtest/gtest.h>

#include "tsan_options.h"

// AddressSanitizer builds look for leaks at the end, but not for what was allocated up to the end of
// gst_init(): GLib's constructors keep a table that is lost when it grows, and GStreamer 1.22 loses a factory
// of its own tracers when it makes or reads a registry. Suppressions by name would need whole stacks through
// GLib, at five times the run time (ASAN_OPTIONS=fast_unwind_on_malloc=0 shows them).
extern "C" void __lsan_disable() __attribute__((weak));
extern "C" void __lsan_enable() __attribute__((weak));
static void before_constructors() {
  if (__lsan_disable) __lsan_disable();
}
__attribute__((section(".preinit_array"),
               used)) static void (*const run_before_constructors)() = before_constructors;

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  if (__lsan_enable) __lsan_enable();
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  gst_deinit();
  return result;
}
