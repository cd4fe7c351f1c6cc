// How a sequence is cut into chunks.
#pragma once

#include <cstdint>
#include <vector>

namespace bsm {

/// A run of consecutive elements that is computed in matrix form. The recurrence only crosses from one to the
/// next.
struct ScanChunk {
  int64_t begin = 0;          ///< first element, counted in the direction of the scan
  int64_t length = 0;         ///< elements, at least 1
  bool reads_state = false;   ///< false: the state before it is zero
  bool writes_state = false;  ///< false: nobody needs the state after it
};

/// Cuts `length` elements into chunks of the lowest estimated cost, with a boundary at state_at when the
/// state is wanted. Without a state before it, a sequence of up to some 200 elements is cheapest as one
/// chunk.
std::vector<ScanChunk> plan_chunks(int64_t length, int64_t d_inner, int64_t state, bool has_state,
                                   bool wants_state, int64_t state_at);

}  // namespace bsm
