// The signal that benchmarks separate.
#pragma once

#include <random>

#include "core/audio.h"

namespace bsm {

/// Seeded white noise below half of full scale.
inline AudioBuffer bench_noise(int channels, int64_t frames) {
  AudioBuffer audio(channels, frames);
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
  for (float& sample : audio.samples) sample = uniform(generator);
  return audio;
}

}  // namespace bsm
