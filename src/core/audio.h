// Planar float audio, the form in which samples travel between files, the STFT and the scores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bsm {

/// `channels` rows of `frames` samples each; full scale is 1.0, larger values are legal.
struct AudioBuffer {
  int channels = 0;
  int64_t frames = 0;
  std::vector<float> samples;  ///< [channels][frames]

  AudioBuffer() = default;
  AudioBuffer(int channels_, int64_t frames_)
      : channels(channels_), frames(frames_), samples(static_cast<size_t>(channels_) * frames_, 0.0f) {}

  float* channel(int c) { return samples.data() + static_cast<size_t>(c) * frames; }
  const float* channel(int c) const { return samples.data() + static_cast<size_t>(c) * frames; }
};

}  // namespace bsm
