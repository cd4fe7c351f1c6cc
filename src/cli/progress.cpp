#include "cli/progress.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace bsm {
namespace {

using nlohmann::json;

void print_event(const json& event) {
  // File names need not be UTF-8; JSON must be.
  std::puts(event.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

std::string bar_text(double fraction) {
  constexpr int kWidth = 24;
  const int filled = std::clamp(static_cast<int>(fraction * kWidth), 0, kWidth);
  return std::string(static_cast<size_t>(filled), '#') +
         std::string(static_cast<size_t>(kWidth - filled), '.');
}

}  // namespace

ProgressMode progress_mode_of(const std::string& name) {
  if (name == "json") return ProgressMode::kJson;
  return name == "auto" && stderr_is_terminal() ? ProgressMode::kBar : ProgressMode::kNone;
}

double Progress::speed(int64_t frames) const {
  const double wall_s = std::chrono::duration<double>(Clock::now() - started_).count();
  return static_cast<double>(frames) / sample_rate_hz_ / std::max(wall_s, 1e-9);
}

void Progress::start(const std::string& file, int64_t total_frames, int sample_rate_hz) {
  ++index_;
  file_ = file;
  total_frames_ = total_frames;
  sample_rate_hz_ = sample_rate_hz;
  started_ = Clock::now();
  shown_ = {};
  if (mode_ == ProgressMode::kJson) {
    json event = {
        {"event", "start"}, {"file", file_}, {"index", index_}, {"files", files_}, {"seconds", nullptr}};
    if (total_frames_ >= 0) event["seconds"] = static_cast<double>(total_frames_) / sample_rate_hz_;
    print_event(event);
  }
  update(0);
}

void Progress::update(int64_t frames_done) {
  const Clock::time_point now = Clock::now();
  if (mode_ == ProgressMode::kNone || now - shown_ < std::chrono::milliseconds(200)) return;
  shown_ = now;
  const double done_s = static_cast<double>(frames_done) / sample_rate_hz_;
  const double times_real_time = speed(frames_done);
  const bool total_known = total_frames_ > 0;
  const double left_s = total_known && frames_done > 0 ? static_cast<double>(total_frames_ - frames_done) /
                                                             sample_rate_hz_ / times_real_time
                                                       : -1;
  if (mode_ == ProgressMode::kJson) {
    if (frames_done == 0) return;
    json event = {{"event", "progress"},      {"file", file_},      {"seconds_done", done_s},
                  {"speed", times_real_time}, {"seconds", nullptr}, {"seconds_left", nullptr}};
    if (total_known) event["seconds"] = static_cast<double>(total_frames_) / sample_rate_hz_;
    if (left_s >= 0) event["seconds_left"] = left_s;
    print_event(event);
    return;
  }
  std::string line = files_ > 1 ? "[" + std::to_string(index_) + "/" + std::to_string(files_) + "] " : "";
  line += std::filesystem::path(file_).filename().string() + "  ";
  char numbers[96];
  if (total_known) {
    const double fraction = static_cast<double>(frames_done) / static_cast<double>(total_frames_);
    std::snprintf(numbers, sizeof numbers, " %3.0f %%", 100 * std::min(fraction, 1.0));
    line += bar_text(fraction) + numbers;
  } else {
    line += clock_text(done_s);
  }
  if (frames_done > 0) {
    std::snprintf(numbers, sizeof numbers, "  %.1f x real time", times_real_time);
    line += numbers;
    if (left_s >= 0) line += ", " + clock_text(left_s) + " left";
  }
  show_progress_line(line);
}

void Progress::done(int64_t frames, int64_t clipped_samples, const std::vector<std::string>& outputs) {
  const double times_real_time = speed(frames);
  if (mode_ == ProgressMode::kJson) {
    print_event({{"event", "done"},
                 {"file", file_},
                 {"outputs", outputs},
                 {"seconds", static_cast<double>(frames) / sample_rate_hz_},
                 {"speed", times_real_time},
                 {"clipped_samples", clipped_samples}});
    return;
  }
  show_progress_line("");
  for (const std::string& output : outputs) std::puts(output.c_str());
  std::fflush(stdout);
}

void Progress::skipped(const std::string& file, const std::vector<std::string>& outputs) {
  ++index_;
  if (mode_ == ProgressMode::kJson) {
    print_event({{"event", "skipped"}, {"file", file}, {"outputs", outputs}});
  } else {
    print_message(file + ": skipped, its outputs exist");
  }
}

void Progress::failed(const std::string& file, const std::string& message) {
  if (file != file_) ++index_;
  show_progress_line("");
  print_message(message);
  if (mode_ == ProgressMode::kJson) print_event({{"event", "failed"}, {"file", file}, {"message", message}});
}

}  // namespace bsm
