#include "cli/terminal.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <mutex>

namespace bsm {
namespace {

constexpr const char* kClearLine = "\r\033[K";
std::mutex stderr_mutex;
std::string progress_line;

}  // namespace

void print_message(const std::string& message) {
  const std::lock_guard lock(stderr_mutex);
  if (!progress_line.empty()) std::fputs(kClearLine, stderr);
  std::fprintf(stderr, "bsmamba2: %s\n", message.c_str());
  std::fputs(progress_line.c_str(), stderr);
  std::fflush(stderr);
}

bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

void show_progress_line(const std::string& text) {
  const std::lock_guard lock(stderr_mutex);
  if (text.empty() && progress_line.empty()) return;
  progress_line = text;
  std::fputs(kClearLine, stderr);
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

std::string clock_text(double seconds) {
  const auto total = static_cast<long long>(std::llround(seconds < 0 ? 0 : seconds));
  char text[48];
  if (total >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", total / 60, total % 60);
  }
  return text;
}

}  // namespace bsm
