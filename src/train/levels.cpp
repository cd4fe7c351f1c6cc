#include "train/levels.h"

#include <cmath>

#include "train/track_index.h"

namespace bsm {

double sounding_rms(const AudioBuffer& audio, int sample_rate_hz) {
  const int64_t window = sounding_window_samples(sample_rate_hz);
  double sum = 0;
  int64_t sounding = 0;
  for (int64_t start = 0; start + window <= audio.frames; start += window) {
    double energy = 0;
    for (int c = 0; c < audio.channels; ++c)
      for (int64_t i = start; i < start + window; ++i)
        energy += static_cast<double>(audio.channel(c)[i]) * audio.channel(c)[i];
    const double power = energy / static_cast<double>(window * audio.channels);
    if (power > kSoundingRms * kSoundingRms) {
      sum += power;
      ++sounding;
    }
  }
  return sounding == 0 ? 0 : std::sqrt(sum / static_cast<double>(sounding));
}

void set_balance(AudioBuffer& vocals, const AudioBuffer& accompaniment, int sample_rate_hz,
                 double balance_db) {
  const double voice = sounding_rms(vocals, sample_rate_hz);
  const double band = sounding_rms(accompaniment, sample_rate_hz);
  if (voice == 0 || band == 0) return;
  const auto gain = static_cast<float>(band / voice * std::pow(10.0, balance_db / 20));
  for (float& sample : vocals.samples) sample *= gain;
}

}  // namespace bsm
