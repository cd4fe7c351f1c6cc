// How much time a run of a training has, and how much the schedule of its learning rate.
#pragma once

#include <functional>

#include "train/train.h"

namespace bsm {

class TimeBudget {
 public:
  /// The run starts now. Throws Error(kSettings): negative times, a schedule in steps and in minutes.
  explicit TimeBudget(const TrainOptions& options);

  /// Since the start of this run.
  double elapsed_s() const { return clock_() - start_s_; }
  /// Whether the learning rate follows the time instead of a number of steps.
  bool schedule_is_timed() const { return timed_; }

  /// Time that the last validation and saving will take.
  void reserve(double seconds) { reserve_s_ = seconds; }
  /// When only the reserve is left to this run and to the schedule, on the clock of elapsed_s(); infinite
  /// without a limit.
  double stop_at_s() const { return stop_s_ - reserve_s_; }
  double schedule_end_s() const { return schedule_s_ - reserve_s_; }
  /// Whether either has come.
  bool is_over() const;

 private:
  std::function<double()> clock_;
  double start_s_;
  bool timed_;
  double stop_s_;
  double schedule_s_;
  double reserve_s_ = 0;
};

}  // namespace bsm
