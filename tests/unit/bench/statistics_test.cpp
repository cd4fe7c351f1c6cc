#include "bench/statistics.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace bsm {
namespace {

TEST(Percentile, InterpolatesBetweenNeighboursOfTheSortedValues) {
  const std::vector<double> values = {40, 10, 30, 20};
  EXPECT_DOUBLE_EQ(percentile(values, 0), 10);
  EXPECT_DOUBLE_EQ(percentile(values, 1), 40);
  EXPECT_DOUBLE_EQ(percentile(values, 0.5), 25);
  EXPECT_DOUBLE_EQ(percentile(values, 1.0 / 3), 20);
  EXPECT_DOUBLE_EQ(percentile(values, 0.95), 38.5);
}

TEST(Percentile, OfOneValueIsThatValue) {
  for (const double p : {0.0, 0.5, 0.99, 1.0}) EXPECT_EQ(percentile({7}, p), 7);
}

TEST(Percentile, OfNothingOrBeyondTheEndsIsAnError) {
  EXPECT_THROW(percentile({}, 0.5), Error);
  EXPECT_THROW(percentile({1}, 1.01), Error);
  EXPECT_THROW(percentile({1}, -0.01), Error);
}

TEST(TimeSummary, HoldsTheFiguresOfThePercentiles) {
  std::vector<double> times_ms;
  for (int i = 100; i >= 0; --i) times_ms.push_back(i);
  const TimeSummary summary = summarise(times_ms);
  EXPECT_EQ(summary.repeats, 101);
  EXPECT_DOUBLE_EQ(summary.min_ms, 0);
  EXPECT_DOUBLE_EQ(summary.median_ms, 50);
  EXPECT_DOUBLE_EQ(summary.p95_ms, 95);
  EXPECT_DOUBLE_EQ(summary.p99_ms, 99);
}

}  // namespace
}  // namespace bsm
