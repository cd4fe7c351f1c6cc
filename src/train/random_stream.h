// Random numbers that are the same on every machine: own conversions from the engine's 64 bits, because the
// distributions of the standard library differ between libraries.
#pragma once

#include <cstdint>
#include <random>

#include "train/range.h"

namespace bsm {

class RandomStream {
 public:
  /// Stream `number` of those that belong to `seed`.
  RandomStream(uint64_t seed, uint64_t number) {
    std::seed_seq words{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
                        static_cast<uint32_t>(number), static_cast<uint32_t>(number >> 32)};
    engine_.seed(words);
  }

  double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // [0, 1)
  double in(const Range& range) { return range.low + (range.high - range.low) * unit(); }
  double in(double low, double high) { return low + (high - low) * unit(); }
  bool happens(double probability) { return unit() < probability; }
  /// One of 0 .. count - 1.
  size_t below(size_t count) { return static_cast<size_t>(unit() * static_cast<double>(count)); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace bsm
