// Progress of `separate`: a line with speed and time left for people, or JSON events for programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace bsm {

enum class ProgressMode {
  kNone,
  kBar,   ///< one line on standard error that is rewritten
  kJson,  ///< one JSON object per line on standard output
};

/// "auto" (a bar when standard error is a terminal), "none" or "json".
ProgressMode progress_mode_of(const std::string& name);

/// JSON events, each with "event" and "file": "start" {index, files, seconds}, "progress" {seconds_done,
/// seconds, speed, seconds_left}, "done" {outputs, seconds, speed, clipped_samples}, "skipped" {outputs},
/// "failed" {message}. Speed is audio time over wall time. `seconds` and `seconds_left` are null when the
/// file does not state its length.
class Progress {
 public:
  Progress(ProgressMode mode, int files) : mode_(mode), files_(files) {}

  /// total_frames: -1 when unknown.
  void start(const std::string& file, int64_t total_frames, int sample_rate_hz);
  void update(int64_t frames_done);
  void done(int64_t frames, int64_t clipped_samples, const std::vector<std::string>& outputs);
  void skipped(const std::string& file, const std::vector<std::string>& outputs);
  void failed(const std::string& file, const std::string& message);

 private:
  using Clock = std::chrono::steady_clock;
  double speed(int64_t frames) const;

  ProgressMode mode_;
  int files_;
  int index_ = 0;
  std::string file_;
  int64_t total_frames_ = -1;
  int sample_rate_hz_ = 0;
  Clock::time_point started_;
  Clock::time_point shown_;
};

}  // namespace bsm
