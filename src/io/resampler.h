// Sample rate conversion through libsoxr (very high quality), in blocks, with the delay removed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace bsm {

class Resampler {
 public:
  /// Throws Error(kFailed). Equal rates copy.
  Resampler(int input_rate_hz, int output_rate_hz, int channels);
  ~Resampler();
  Resampler(Resampler&&) noexcept;

  /// Interleaved frames in, interleaved frames appended to `out`. `last` flushes: afterwards ceil or floor of
  /// input * ratio frames have come out in all.
  void process(const float* interleaved, int64_t frames, bool last, std::vector<float>& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bsm
