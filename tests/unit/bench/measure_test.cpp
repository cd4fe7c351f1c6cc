// The measuring itself: how often work runs, and to which stage its time goes. Only orders of magnitude of
// time are checked.
#include "bench/measure.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace bsm {
namespace {

const BenchDevice kCpu{c10::Device(c10::kCPU)};

double stage_ms(const Measurement& measurement, Stage stage) {
  return measurement.stage_ms[static_cast<size_t>(stage)];
}

TEST(Measure, RunsOnceToWarmUpAndThenAsOftenAsAsked) {
  int runs = 0;
  const Measurement measurement = measure(kCpu, {3, 0}, [&] { ++runs; });
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(measurement.time.repeats, 3);
}

TEST(Measure, FillsTheBudgetWithinItsLimits) {
  int runs = 0;
  EXPECT_EQ(measure(kCpu, {0, 1}, [&] { ++runs; }).time.repeats, 200);
  EXPECT_EQ(runs, 201);
  EXPECT_EQ(measure(kCpu, {0, 0}, [&] { ++runs; }).time.repeats, 1);
}

TEST(Measure, GivesTheTimeSinceTheLastReportToTheStage) {
  const Measurement measurement = measure(kCpu, {2, 0}, [] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stage_done(Stage::kStft);
    stage_done(Stage::kMerge);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    stage_done(Stage::kIstft);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stage_done(Stage::kStft);
  });
  EXPECT_GE(stage_ms(measurement, Stage::kStft), 40);
  EXPECT_GE(stage_ms(measurement, Stage::kIstft), 5);
  EXPECT_LT(stage_ms(measurement, Stage::kMerge), 5);
  EXPECT_EQ(stage_ms(measurement, Stage::kMasks), 0);
  double sum_ms = 0;
  for (const double time_ms : measurement.stage_ms) sum_ms += time_ms;
  EXPECT_GE(measurement.time.median_ms, 45);
  EXPECT_GE(sum_ms, 45);
  EXPECT_EQ(stage_observer, nullptr);
}

TEST(Measure, KnowsThePeakOfTheProcess) {
  const PeakMemory small = measure(kCpu, {1, 0}, [] {}).memory;
  const PeakMemory large = measure(kCpu, {1, 0}, [] {
                             std::vector<char> block(64 << 20, 1);
                             volatile char last = block.back();
                             (void)last;
                           }).memory;
  ASSERT_TRUE(small.resident && large.resident);
  EXPECT_GE(*large.resident, *small.resident + (48 << 20));
  EXPECT_FALSE(large.reserved);
}

}  // namespace
}  // namespace bsm
