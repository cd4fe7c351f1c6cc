#include "core/log.h"

#include <cstdio>
#include <mutex>

namespace bsm {
namespace {

void log_to_stderr(LogLevel level, const char* message, void*) {
  if (level <= LogLevel::kWarning)
    std::fprintf(stderr, "%s: %s\n", level == LogLevel::kError ? "error" : "warning", message);
}

std::mutex g_mutex;
LogSink g_sink = log_to_stderr;
void* g_user = nullptr;

}  // namespace

void set_log_sink(LogSink sink, void* user) {
  std::lock_guard lock(g_mutex);
  g_sink = sink ? sink : log_to_stderr;
  g_user = user;
}

void log(LogLevel level, const std::string& message) {
  std::lock_guard lock(g_mutex);
  g_sink(level, message.c_str(), g_user);
}

}  // namespace bsm
