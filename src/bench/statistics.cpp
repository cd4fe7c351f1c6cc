#include "bench/statistics.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace bsm {

double percentile(std::vector<double> values, double p) {
  if (values.empty() || !(p >= 0 && p <= 1))
    throw Error(ErrorCode::kSettings, "A percentile needs values, and a part between 0 and 1.");
  std::sort(values.begin(), values.end());
  const double place = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - static_cast<double>(below));
}

TimeSummary summarise(const std::vector<double>& times_ms) {
  return {static_cast<int>(times_ms.size()), percentile(times_ms, 0), percentile(times_ms, 0.5),
          percentile(times_ms, 0.95), percentile(times_ms, 0.99)};
}

}  // namespace bsm
