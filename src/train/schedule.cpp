#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace bsm {

double learning_rate_at(int64_t step, int64_t steps, const TrainingConfig& config) {
  const double peak = config.learning_rate;
  if (step < config.warmup_steps)
    return peak * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
  const double span = static_cast<double>(std::max<int64_t>(1, steps - config.warmup_steps));
  const double done = std::min(1.0, static_cast<double>(step - config.warmup_steps) / span);
  return config.final_learning_rate +
         (peak - config.final_learning_rate) * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

}  // namespace bsm
