// Signals that the tests of the transforms share.
#pragma once

#include <random>
#include <string>

#include "core/audio.h"
#include "dsp/stft.h"

namespace bsm::test {

inline AudioBuffer noise(int channels, int64_t frames, unsigned seed) {
  AudioBuffer audio(channels, frames);
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  for (float& sample : audio.samples) sample = uniform(generator);
  return audio;
}

/// Around every boundary of the transform (hop 441, half a window, a window), and a signal of many frames.
inline const int64_t kLengths[] = {1, 440, 441, 442, 1024, 1025, 2047, 2048, 4410, 44100 + 7};
inline const int kHops[] = {441, 512, 882};

inline StftSpec spec_with_hop(int hop) {
  StftSpec spec;
  spec.hop = hop;
  return spec;
}

inline std::string label(int64_t length, int hop) {
  return "length " + std::to_string(length) + ", hop " + std::to_string(hop);
}

}  // namespace bsm::test
