// The share of the separated signal over the samples of a timeline: 1, 0, or a straight line from one to the
// other.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bsm {

class Fade {
 public:
  void jump(float share) { *this = {0, 0, share, share}; }
  /// From what it is at `begin` to `share` at `end`.
  void go(int64_t begin, int64_t end, float share) { *this = {begin, end, at(begin), share}; }

  float at(int64_t frame) const {
    if (frame >= end_) return to_;
    if (frame <= begin_) return from_;
    return from_ + (to_ - from_) * static_cast<float>(frame - begin_) / static_cast<float>(end_ - begin_);
  }
  bool is_constant(int64_t begin, int64_t end) const {
    return from_ == to_ || begin >= end_ || end <= begin_ + 1;
  }

  Fade() = default;

 private:
  Fade(int64_t begin, int64_t end, float from, float to) : begin_(begin), end_(end), from_(from), to_(to) {}

  int64_t begin_ = 0, end_ = 0;
  float from_ = 1.0F, to_ = 1.0F;
};

}  // namespace bsm
