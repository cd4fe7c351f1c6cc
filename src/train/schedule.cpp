#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace bsm {

double learning_rate_at(int64_t step, double done, const TrainingConfig& config) {
  const double peak = config.learning_rate;
  if (step < config.warmup_steps)
    return peak * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
  return config.final_learning_rate + (peak - config.final_learning_rate) * 0.5 *
                                          (1 + std::cos(std::numbers::pi * std::clamp(done, 0.0, 1.0)));
}

double advance_schedule(double done, double spent, double left) {
  return spent >= left ? 1 : done + (1 - done) * spent / left;
}

}  // namespace bsm
