// The log sink: lines reach the sink that was set, whole and in order, from any thread.
#include "core/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace bsm {
namespace {

using Lines = std::vector<std::pair<LogLevel, std::string>>;

void keep(LogLevel level, const char* message, void* user) {
  static_cast<Lines*>(user)->emplace_back(level, message);
}

/// What `action` writes to stderr.
template <typename Action>
std::string stderr_of(Action action) {
  testing::internal::CaptureStderr();
  action();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, LinesReachTheSinkWithTheirLevel) {
  Lines lines;
  set_log_sink(keep, &lines);
  const std::string written = stderr_of([] {
    log(LogLevel::kError, "one");
    log(LogLevel::kDebug, "two %s");
  });
  set_log_sink(nullptr, nullptr);
  EXPECT_EQ(lines, (Lines{{LogLevel::kError, "one"}, {LogLevel::kDebug, "two %s"}}));
  EXPECT_EQ(written, "");
}

TEST(Log, WithoutASinkWarningsAndErrorsGoToStderr) {
  set_log_sink(nullptr, nullptr);
  EXPECT_EQ(stderr_of([] { log(LogLevel::kError, "100%s"); }), "error: 100%s\n");
  EXPECT_EQ(stderr_of([] { log(LogLevel::kWarning, "w"); }), "warning: w\n");
  EXPECT_EQ(stderr_of([] { log(LogLevel::kInfo, "i"); }), "");
  EXPECT_EQ(stderr_of([] { log(LogLevel::kDebug, "d"); }), "");
}

TEST(Log, ThreadsDoNotMixTheirLines) {
  constexpr int kThreads = 4, kLines = 500;
  Lines lines;  // push_back of the sink itself is not thread-safe: log() must serialise
  set_log_sink(keep, &lines);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < kLines; ++i) log(LogLevel::kInfo, std::to_string(t) + ":" + std::to_string(i));
    });
  for (std::thread& thread : threads) thread.join();
  set_log_sink(nullptr, nullptr);
  ASSERT_EQ(lines.size(), static_cast<size_t>(kThreads * kLines));
  std::vector<int> next(kThreads, 0);
  for (const auto& [level, text] : lines) {
    const size_t thread = static_cast<size_t>(text[0] - '0');
    EXPECT_EQ(text, std::to_string(thread) + ":" + std::to_string(next.at(thread)++));
  }
}

}  // namespace
}  // namespace bsm
