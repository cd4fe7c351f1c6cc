// What a training tells: one line for people, one row of log.csv for tools; and the signals that stop it.
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>

namespace bsm {

struct ProgressRow {
  int64_t step = 0;
  int64_t steps = 0;
  double loss = 0;           ///< mean since the last row
  double gradient_norm = 0;  ///< of the last step, before clipping
  double learning_rate = 0;
  double audio_s_per_s = 0;   ///< mixtures' length per wall clock since the last row
  double skipped_steps = 0;   ///< gradients that were not finite, in this run
  double vocals_usdr_db = 0;  ///< NaN: not validated yet
  double instrumental_usdr_db = 0;
  double trained_s = 0;  ///< wall clock of all runs
  double left_s = 0;
};

/// "step 1200/10000  loss 0.0321  lr 9.8e-04  310 s/s  uSDR 4.21 dB  12 min left"
std::string progress_line(const ProgressRow& row);

class ProgressLog {
 public:
  /// Lines go to `report`; empty: to standard output.
  explicit ProgressLog(std::function<void(const std::string&)> report);

  /// Opens log.csv in `out_dir`. Of an earlier run, rows up to `resumed_step` are kept: what it did beyond
  /// its last saved state is done again. Throws Error(kOpenWrite).
  void open(const std::string& out_dir, int64_t resumed_step);
  /// Line and row.
  void add(const ProgressRow& row);
  /// A line alone.
  void say(const std::string& line);

 private:
  std::ofstream csv_;
  std::function<void(const std::string&)> report_;
};

/// While it lives, SIGINT and SIGTERM set a flag; a second signal acts as usual. One at a time, from one
/// thread.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  bool raised() const;
};

}  // namespace bsm
