// An interval of a configuration.
#pragma once

namespace bsm {

/// Closed interval from which a value is drawn uniformly.
struct Range {
  double low = 0;
  double high = 0;
  bool operator==(const Range&) const = default;
};

}  // namespace bsm
