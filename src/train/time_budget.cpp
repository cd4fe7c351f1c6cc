#include "train/time_budget.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "core/error.h"

namespace bsm {
namespace {

double steady_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double limit_s(double minutes) {
  return minutes > 0 ? minutes * 60 : std::numeric_limits<double>::infinity();
}

}  // namespace

TimeBudget::TimeBudget(const TrainOptions& options)
    : clock_(options.clock ? options.clock : steady_s),
      start_s_(clock_()),
      timed_(options.steps == 0 && (options.minutes > 0 || options.schedule_minutes > 0)),
      stop_s_(limit_s(options.minutes)),
      schedule_s_(limit_s(options.schedule_minutes > 0 ? options.schedule_minutes : options.minutes)) {
  if (options.minutes < 0 || options.schedule_minutes < 0)
    throw Error(ErrorCode::kSettings, "A time in minutes must not be negative.");
  if (options.steps > 0 && options.schedule_minutes > 0)
    throw Error(ErrorCode::kSettings, "Give the length of the schedule in steps or in minutes, not both.");
}

bool TimeBudget::is_over() const {
  return elapsed_s() >= std::min(stop_at_s(), timed_ ? schedule_end_s() : stop_at_s());
}

}  // namespace bsm
