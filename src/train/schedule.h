// Learning rate over the course of a training.
#pragma once

#include <cstdint>

#include "train/config.h"

namespace bsm {

/// Linear warm-up over warmup_steps, then half a cosine down to final_learning_rate at `steps`. `step` counts
/// from 0.
double learning_rate_at(int64_t step, int64_t steps, const TrainingConfig& config);

}  // namespace bsm
