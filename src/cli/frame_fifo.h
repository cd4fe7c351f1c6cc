// Interleaved frames that wait between a producer and a consumer of different block sizes.
#pragma once

#include <cstdint>
#include <vector>

namespace bsm {

class FrameFifo {
 public:
  explicit FrameFifo(int channels) : channels_(channels) {}

  /// Where a producer appends whole interleaved frames.
  std::vector<float>& tail() { return samples_; }
  int64_t frames() const { return static_cast<int64_t>(samples_.size() - start_) / channels_; }
  const float* head() const { return samples_.data() + start_; }

  /// Drops the first `frames` frames. The memory moves only once half of it is free, so that the cost stays
  /// linear.
  void consume(int64_t frames) {
    start_ += static_cast<size_t>(frames * channels_);
    if (start_ * 2 < samples_.size()) return;
    samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(start_));
    start_ = 0;
  }

 private:
  int channels_;
  std::vector<float> samples_;
  size_t start_ = 0;
};

}  // namespace bsm
