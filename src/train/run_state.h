// Everything a training needs to go on as if it had not stopped, as one safetensors file.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "train/config.h"
#include "train/flat_parameters.h"

namespace bsm {

struct RunState {
  int64_t step = 0;          ///< optimizer steps made
  int64_t mixtures = 0;      ///< drawn by all processes; with the seed it is the state of the random draws
  double schedule_done = 0;  ///< see advance_schedule()
  double trained_s = 0;      ///< wall clock of all runs so far
  double last_usdr_db = std::numeric_limits<double>::quiet_NaN();
  double best_usdr_db = std::numeric_limits<double>::quiet_NaN();
};

/// Writes weights, moments, moving average, counters, seed and model configuration (through a temporary file,
/// then rename). Throws Error(kOpenWrite).
void save_state(const std::string& path, const RunState& state, const FlatParameters& parameters,
                const RunConfig& config);

/// Reads it back into `parameters`. Throws Error: kNotFound, kOpenRead, kWrongType; kSettings when the state
/// belongs to another model or seed.
RunState load_state(const std::string& path, FlatParameters& parameters, const RunConfig& config);

}  // namespace bsm
