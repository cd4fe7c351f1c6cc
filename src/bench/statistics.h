// Times of repeated runs in a few figures.
#pragma once

#include <vector>

namespace bsm {

/// The value below which the part p (0..1) of the values lies, interpolated linearly between neighbours (the
/// definition that numpy and spreadsheets use): p = 0 the smallest, p = 1 the largest. Throws
/// Error(kSettings) for no values or p outside 0..1.
double percentile(std::vector<double> values, double p);

struct TimeSummary {
  int repeats = 0;
  double min_ms = 0;
  double median_ms = 0;
  double p95_ms = 0;
  double p99_ms = 0;
};

/// Throws Error(kSettings) for no values.
TimeSummary summarise(const std::vector<double>& times_ms);

}  // namespace bsm
