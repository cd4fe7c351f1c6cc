#include "nn/cpu/chunk_plan.h"

#include <algorithm>

namespace bsm {

namespace {

// The matrices of longer chunks leave the second level cache.
constexpr int64_t kLongestChunk = 256;

/// Multiply-adds of `length` elements as `count` chunks. Within a chunk they grow with its length, for each
/// element by the pairs below the diagonal; an element that meets a state, read or written, costs d_inner *
/// N.
double cost(int64_t length, int64_t count, double d_inner, double state, bool reads_first, bool writes_last) {
  const double elements = static_cast<double>(length), chunk = elements / static_cast<double>(count);
  const double readers = reads_first ? elements : elements - chunk;
  const double writers = writes_last ? elements : elements - chunk;
  const double state_visits = static_cast<double>(count - 1 + (writes_last ? 1 : 0));
  // Loading and storing a state to add to it costs about as much as eight elements that are added.
  return (readers + writers + 8.0 * state_visits) * d_inner * state +
         elements * 0.5 * chunk * (d_inner + state);
}

void append_part(std::vector<ScanChunk>& chunks, int64_t begin, int64_t end, int64_t d_inner, int64_t state,
                 bool reads_first, bool writes_last) {
  const int64_t length = end - begin;
  if (length == 0) return;
  int64_t best = (length + kLongestChunk - 1) / kLongestChunk;
  const auto cost_of = [&](int64_t count) {
    return cost(length, count, static_cast<double>(d_inner), static_cast<double>(state), reads_first,
                writes_last);
  };
  for (int64_t count = best + 1; count <= (length + 7) / 8; ++count)
    if (cost_of(count) < cost_of(best)) best = count;
  for (int64_t i = 0; i < best; ++i) {
    const int64_t first = begin + length * i / best, last = begin + length * (i + 1) / best;
    chunks.push_back({first, last - first, reads_first || i > 0, writes_last || i + 1 < best});
  }
}

}  // namespace

std::vector<ScanChunk> plan_chunks(int64_t length, int64_t d_inner, int64_t state, bool has_state,
                                   bool wants_state, int64_t state_at) {
  const int64_t cut = wants_state ? std::clamp<int64_t>(state_at, 0, length) : 0;
  std::vector<ScanChunk> chunks;
  append_part(chunks, 0, cut, d_inner, state, has_state, true);
  append_part(chunks, cut, length, d_inner, state, has_state || cut > 0, false);
  return chunks;
}

}  // namespace bsm
