#include "late_statics.h"

#include <dlfcn.h>
#include <pthread.h>

#include <cstdio>
#include <cstring>
#include <mutex>

namespace {

struct {
  std::mutex mutex;
  char place[512] = "";
} first;

bool contains(const char* text, const char* part) { return text && std::strstr(text, part); }

bool is_worker() {
  char name[16] = "";
  return pthread_getname_np(pthread_self(), name, sizeof name) == 0 && std::strcmp(name, "bsmamba2sep") == 0;
}

}  // namespace

/// The one of the C library, for all libraries that register a destructor.
extern "C" int __cxa_atexit(void (*destructor)(void*), void* object, void* library) {
  using Function = int (*)(void (*)(void*), void*, void*);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "__cxa_atexit"));
  Dl_info of{}, caller{};
  dladdr(reinterpret_cast<const void*>(destructor), &of);
  // The plugin's own are the handlers that end the worker.
  if (is_worker() && !contains(of.dli_fname, "libgstbsmamba2sep")) {
    dladdr(__builtin_return_address(0), &caller);
    const std::lock_guard lock(first.mutex);
    if (!first.place[0])
      std::snprintf(first.place, sizeof first.place, "%s, %s",
                    caller.dli_sname ? caller.dli_sname : "a static function",
                    caller.dli_fname ? caller.dli_fname : "");
  }
  return next(destructor, object, library);
}

std::string bsm::test::first_late_static() {
  const std::lock_guard lock(first.mutex);
  return first.place;
}
