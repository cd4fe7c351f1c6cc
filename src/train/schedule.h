// Learning rate over the course of a training, whose length is a number of steps or a time.
#pragma once

#include <cstdint>

#include "train/config.h"

namespace bsm {

/// Linear warm-up over warmup_steps, then half a cosine down to final_learning_rate. `step` counts from 0;
/// `done` is the part of the schedule after the warm-up that lies behind, 0 to 1.
double learning_rate_at(int64_t step, double done, const TrainingConfig& config);

/// The part that lies behind after a step which used up `spent` of what was `left` (steps or seconds,
/// whichever the schedule is measured in). Kept in the state of a training: a resumed run spreads the rest of
/// the schedule over the steps or the time that it is given. Even spending gives an even advance.
double advance_schedule(double done, double spent, double left);

}  // namespace bsm
