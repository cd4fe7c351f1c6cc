// One sink for the messages of the libraries: the element sends them to GST_DEBUG, the program to stderr.
#pragma once

#include <string>

namespace bsm {

enum class LogLevel { kError = 0, kWarning = 1, kInfo = 2, kDebug = 3 };

using LogSink = void (*)(LogLevel level, const char* message, void* user);

/// Replaces the sink (default: warnings and errors to stderr). Thread-safe; `user` must outlive the sink.
void set_log_sink(LogSink sink, void* user);

/// Sends one line to the sink. Thread-safe; never call it from a real-time audio thread.
void log(LogLevel level, const std::string& message);

}  // namespace bsm
