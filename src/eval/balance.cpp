#include "eval/balance.h"

#include <algorithm>
#include <cmath>

namespace bsm {
namespace {

constexpr double kSilenceMeanSquare = 1e-6;  // -60 dBFS

double window_energy(const AudioBuffer& audio, int64_t begin, int64_t end) {
  double energy = 0;
  for (int c = 0; c < audio.channels; ++c)
    for (int64_t i = begin; i < std::min(end, audio.frames); ++i)
      energy += static_cast<double>(audio.channel(c)[i]) * audio.channel(c)[i];
  return energy;
}

}  // namespace

bool set_balance(AudioBuffer& vocals, const AudioBuffer& accompaniment, int sample_rate_hz,
                 double balance_db) {
  const int64_t window = sample_rate_hz / 10;
  double vocals_energy = 0;
  double band_energy = 0;
  for (int64_t begin = 0; begin + window <= vocals.frames; begin += window) {
    const double energy = window_energy(vocals, begin, begin + window);
    if (energy <= kSilenceMeanSquare * static_cast<double>(window * vocals.channels)) continue;
    vocals_energy += energy;
    band_energy += window_energy(accompaniment, begin, begin + window);
  }
  if (vocals_energy == 0 || band_energy == 0) return false;
  const double gain = std::sqrt(band_energy / vocals_energy) * std::pow(10.0, balance_db / 20);
  for (float& sample : vocals.samples) sample = static_cast<float>(sample * gain);
  return true;
}

}  // namespace bsm
