#include "train/progress.h"

#include <cinttypes>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <vector>

#include "core/error.h"

namespace bsm {
namespace {

volatile std::sig_atomic_t g_stop = 0;
struct sigaction g_before_interrupt;
struct sigaction g_before_terminate;

void on_stop(int) { g_stop = 1; }

std::string duration(double seconds) {
  char text[32];
  if (seconds < 120)
    std::snprintf(text, sizeof(text), "%.0f s", seconds);
  else if (seconds < 7200)
    std::snprintf(text, sizeof(text), "%.0f min", seconds / 60);
  else
    std::snprintf(text, sizeof(text), "%.1f h", seconds / 3600);
  return text;
}

}  // namespace

std::string progress_line(const ProgressRow& row) {
  char text[256];
  std::snprintf(text, sizeof(text), "step %lld/%lld  loss %.4f  lr %.2e  %.0f s/s",
                static_cast<long long>(row.step), static_cast<long long>(row.steps), row.loss,
                row.learning_rate, row.audio_s_per_s);
  std::string line = text;
  if (!std::isnan(row.vocals_usdr_db)) {
    std::snprintf(text, sizeof(text), "  uSDR %.2f dB", row.vocals_usdr_db);
    line += text;
  }
  if (row.skipped_steps > 0) {
    std::snprintf(text, sizeof(text), "  %.0f gradients not finite", row.skipped_steps);
    line += text;
  }
  return line + "  " + duration(row.left_s) + " left";
}

ProgressLog::ProgressLog(std::function<void(const std::string&)> report) : report_(std::move(report)) {
  if (!report_)
    report_ = [](const std::string& line) {
      std::puts(line.c_str());
      std::fflush(stdout);
    };
}

void ProgressLog::open(const std::string& out_dir, int64_t resumed_step) {
  const std::filesystem::path path = std::filesystem::path(out_dir) / "log.csv";
  std::vector<std::string> kept;
  if (std::ifstream before(path); resumed_step > 0 && before)
    // Neither the heading, which is no number, nor a last row that a kill cut off.
    for (std::string row; std::getline(before, row) && !before.eof();)
      if (int64_t step = 0; std::sscanf(row.c_str(), "%" SCNd64 ",", &step) == 1 && step <= resumed_step)
        kept.push_back(row);
  csv_.open(path, std::ios::trunc);
  if (!csv_)
    throw Error(ErrorCode::kOpenWrite, "The log " + path.string() + " cannot be written; check the folder.");
  csv_ << "step,loss,gradient_norm,learning_rate,audio_s_per_s,skipped_steps,vocals_usdr_db,instrumental_"
          "usdr_db,trained_s\n";
  for (const std::string& row : kept) csv_ << row << '\n';
  csv_.flush();
}

void ProgressLog::add(const ProgressRow& row) {
  std::ostringstream text;
  const auto score = [&text](double db) {
    text << ',';
    if (!std::isnan(db)) text << db;  // empty: not validated
  };
  text << row.step << ',' << row.loss << ',' << row.gradient_norm << ',' << row.learning_rate << ','
       << row.audio_s_per_s << ',' << row.skipped_steps;
  score(row.vocals_usdr_db);
  score(row.instrumental_usdr_db);
  text << ',' << row.trained_s << '\n';
  csv_ << text.str() << std::flush;
  if (!csv_)
    throw Error(ErrorCode::kOpenWrite, "log.csv in the output folder cannot be written; is the disk full?");
  report_(progress_line(row));
}

void ProgressLog::say(const std::string& line) { report_(line); }

StopSignals::StopSignals() {
  g_stop = 0;
  struct sigaction action {};
  action.sa_handler = on_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &g_before_interrupt);
  sigaction(SIGTERM, &action, &g_before_terminate);
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &g_before_interrupt, nullptr);
  sigaction(SIGTERM, &g_before_terminate, nullptr);
}

bool StopSignals::raised() const { return g_stop != 0; }

}  // namespace bsm
