// A first-in first-out run of floats, contiguous in memory and addressed by position in the whole signal.
// Samples, overlap sums and spectrogram frames all wait in one of these.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace bsm {

/// Holds the values [begin(), end()) of a signal. Dropped values are squeezed out only when the memory is
/// full, which is up to twice as long as the run was at its longest: the cost of moving does not depend on
/// the size of the pieces, and a queue of settled length allocates nothing.
class FloatQueue {
 public:
  explicit FloatQueue(int64_t begin = 0) : begin_(begin) {}

  int64_t begin() const { return begin_; }
  int64_t end() const { return begin_ + size(); }
  int64_t size() const { return static_cast<int64_t>(values_.size()) - dropped_; }

  /// Pointer to the value at `position`, from which the run is contiguous up to end().
  float* at(int64_t position) { return values_.data() + dropped_ + (position - begin_); }
  const float* at(int64_t position) const { return values_.data() + dropped_ + (position - begin_); }

  void append(const float* values, int64_t count) {
    const int64_t old_end = end();
    extend(count);
    if (count > 0) std::memcpy(at(old_end), values, static_cast<size_t>(count) * sizeof(float));
  }

  /// Appends `count` zeros.
  void extend(int64_t count) {
    make_room(count);
    values_.resize(values_.size() + static_cast<size_t>(count), 0.0f);
  }

  /// Makes room for a run that grows up to `count` values: it is then moved only when it has passed by once.
  void reserve(int64_t count) { values_.reserve(2 * static_cast<size_t>(count)); }

  /// Forgets everything before `position`, which must not lie beyond end().
  void drop_before(int64_t position) {
    if (position <= begin_) return;
    dropped_ += position - begin_;
    begin_ = position;
  }

  void clear(int64_t begin = 0) {
    values_.clear();
    dropped_ = 0;
    begin_ = begin;
  }

 private:
  void make_room(int64_t count) {
    if (values_.size() + static_cast<size_t>(count) <= values_.capacity()) return;
    values_.erase(values_.begin(), values_.begin() + dropped_);
    dropped_ = 0;
    const size_t needed = values_.size() + static_cast<size_t>(count);
    if (needed > values_.capacity() / 4 * 3) values_.reserve(2 * needed);
  }

  std::vector<float> values_;
  int64_t dropped_ = 0;  // values at the front that are no longer part of the queue
  int64_t begin_;
};

}  // namespace bsm
