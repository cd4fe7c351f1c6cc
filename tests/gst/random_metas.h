// Metas on the buffers of random scripts, and which of them must come out: the times of a source's clocks,
// each on the buffer that holds its sample; of everything else nothing, since no buffer that comes in leaves.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "harness.h"

namespace bsm::test {

class RandomMetas {
 public:
  /// @param at_frame  how many frames were before the buffer since the last clear()
  void add_to(GstBuffer* buffer, int64_t at_frame, int channels, std::mt19937* generator);
  /// Every buffer has the first time of each clock that lies in it, moved to its first sample.
  void check(const std::vector<Entry>& buffers) const;
  void clear() { references_.clear(); }

 private:
  struct Reference {
    std::string clock;
    GstClockTime timestamp;
    int64_t at_frame;
  };
  std::vector<Reference> references_;
};

}  // namespace bsm::test
