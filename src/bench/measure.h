// Repeats a piece of work: its times, its peak memory and its stages.
#pragma once

#include <array>
#include <functional>

#include "bench/device.h"
#include "bench/statistics.h"
#include "nn/stages.h"

namespace bsm {

struct RepeatPlan {
  int repeats = 0;      ///< 0: as many as fit into budget_s, 1 to 200
  double budget_s = 5;  ///< of measured runs, judged by the last warm-up run
};

struct Measurement {
  TimeSummary time;
  PeakMemory memory;
  /// Median over the runs; 0 for stages that never ended.
  std::array<double, kStages> stage_ms{};
};

/// Runs `work` to warm up (once on a CPU, three times on a GPU), then measures. The device is idle before and
/// after each measured run. Stages come from the measured runs on a CPU; on a GPU from a few more runs, in
/// which they cost an event each and CUDA graphs are off, so that their sum can exceed the time.
Measurement measure(const BenchDevice& device, const RepeatPlan& plan, const std::function<void()>& work);

}  // namespace bsm
