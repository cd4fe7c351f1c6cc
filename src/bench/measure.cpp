#include "bench/measure.h"

#include <algorithm>
#include <chrono>

namespace bsm {
namespace {

constexpr int kMostRepeats = 200;
constexpr int kGpuWarmUps = 3;
constexpr int kGpuStageRuns = 10;

using StageRuns = std::array<std::vector<double>, kStages>;

/// Adds up the time of each stage of one run.
class StageTimes : public StageObserver {
 public:
  explicit StageTimes(const BenchDevice& device) : clock_(device.make_clock()) { clock_->mark(); }

  void stage_done(Stage stage) override {
    clock_->mark();
    stages_.push_back(stage);
  }

  /// Adds the run's total of each stage to the list of that stage.
  void append_to(StageRuns& runs_ms) {
    std::array<double, kStages> total_ms{};
    const std::vector<double> intervals_ms = clock_->intervals_ms();
    for (size_t i = 0; i < stages_.size(); ++i) total_ms[static_cast<size_t>(stages_[i])] += intervals_ms[i];
    for (size_t stage = 0; stage < kStages; ++stage) runs_ms[stage].push_back(total_ms[stage]);
  }

 private:
  std::unique_ptr<DeviceClock> clock_;
  std::vector<Stage> stages_;
};

double timed_ms(const BenchDevice& device, const std::function<void()>& work) {
  device.synchronize();
  const auto start = std::chrono::steady_clock::now();
  work();
  device.synchronize();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double observed_ms(const BenchDevice& device, const std::function<void()>& work, StageRuns& stage_runs_ms) {
  device.synchronize();
  StageTimes stages(device);
  const StageObserverScope observed(&stages);
  const double time_ms = timed_ms(device, work);
  stages.append_to(stage_runs_ms);
  return time_ms;
}

}  // namespace

Measurement measure(const BenchDevice& device, const RepeatPlan& plan, const std::function<void()>& work) {
  device.start_memory_record();
  double run_ms = timed_ms(device, work);
  for (int i = 1; device.on_gpu() && i < kGpuWarmUps; ++i) run_ms = timed_ms(device, work);

  const double fitting = std::min<double>(kMostRepeats, plan.budget_s * 1000 / std::max(run_ms, 1e-3));
  const int repeats = plan.repeats > 0 ? plan.repeats : std::max(1, static_cast<int>(fitting));
  Measurement result;
  StageRuns stage_runs_ms;
  std::vector<double> times_ms;
  for (int i = 0; i < repeats; ++i)
    times_ms.push_back(device.on_gpu() ? timed_ms(device, work) : observed_ms(device, work, stage_runs_ms));
  result.time = summarise(times_ms);
  result.memory = device.peak_memory();
  for (int i = 0; device.on_gpu() && i < std::min(repeats, kGpuStageRuns); ++i)
    observed_ms(device, work, stage_runs_ms);
  for (size_t stage = 0; stage < kStages; ++stage)
    result.stage_ms[stage] = percentile(stage_runs_ms[stage], 0.5);
  return result;
}

}  // namespace bsm
