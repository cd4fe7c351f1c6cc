// Sample rate conversion through libsoxr (very high quality), in blocks, with the delay removed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace bsm {

/// Frames that `input_frames` become at another rate: input_frames * output_rate / input_rate, to nearest,
/// halves up.
int64_t resampled_frames(int64_t input_frames, int input_rate_hz, int output_rate_hz);

class Resampler {
 public:
  /// Throws Error(kSettings) for rates below 1 Hz or no channels, Error(kFailed) when soxr refuses. Equal
  /// rates copy.
  Resampler(int input_rate_hz, int output_rate_hz, int channels);
  ~Resampler();
  Resampler(Resampler&&) noexcept;

  /// Interleaved frames in (null when `frames` is 0), interleaved frames appended to `out`. `last` flushes:
  /// afterwards exactly resampled_frames(all input frames) frames have come out in all, and nothing more may
  /// be fed.
  void process(const float* interleaved, int64_t frames, bool last, std::vector<float>& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bsm
