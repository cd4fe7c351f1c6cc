#include "eval/sdr.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"

namespace bsm {
namespace {

constexpr double kEnergyFloor = 1e-7;  // of utterance_sdr_db, as the authors compute it
constexpr double kLeakWindow_s = 0.1;
constexpr double kSilentMeanSquare = 1e-6;  // -60 dBFS

void require_equal_shapes(const AudioBuffer& reference, const AudioBuffer& estimate) {
  if (reference.channels == estimate.channels && reference.frames == estimate.frames) return;
  const auto shape = [](const AudioBuffer& audio) {
    return std::to_string(audio.channels) + " channels of " + std::to_string(audio.frames) + " samples";
  };
  throw Error(ErrorCode::kSettings, "The estimate has " + shape(estimate) + ", the reference " +
                                        shape(reference) +
                                        "; expected equal shapes. Give two files of the same length.");
}

struct Energies {
  double signal = 0.0;      // sum s^2
  double distortion = 0.0;  // sum (s - e)^2
  double estimate = 0.0;    // sum e^2
};

Energies energies(const AudioBuffer& reference, const AudioBuffer& estimate, int64_t begin, int64_t end) {
  Energies sums;
  for (int c = 0; c < reference.channels; ++c)
    for (int64_t i = begin; i < end; ++i) {
      const double s = reference.channel(c)[i];
      const double e = estimate.channel(c)[i];
      sums.signal += s * s;
      sums.distortion += (s - e) * (s - e);
      sums.estimate += e * e;
    }
  return sums;
}

/// BSSEval v4's notion of silence: the channels cancel at every sample.
bool channel_sum_is_zero(const AudioBuffer& audio, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    double sum = 0.0;
    for (int c = 0; c < audio.channels; ++c) sum += audio.channel(c)[i];
    if (sum != 0.0) return false;
  }
  return true;
}

int64_t window_length(double window_s, int sample_rate_hz) {
  const int64_t samples = std::llround(window_s * sample_rate_hz);
  if (samples < 1)
    throw Error(ErrorCode::kSettings, "A window of " + std::to_string(window_s) + " s at " +
                                          std::to_string(sample_rate_hz) + " Hz holds no sample.");
  return samples;
}

}  // namespace

double utterance_sdr_db(const AudioBuffer& reference, const AudioBuffer& estimate) {
  require_equal_shapes(reference, estimate);
  const Energies sums = energies(reference, estimate, 0, reference.frames);
  return 10.0 * std::log10((sums.signal + kEnergyFloor) / (sums.distortion + kEnergyFloor));
}

std::vector<std::optional<double>> window_sdr_db(const AudioBuffer& reference, const AudioBuffer& estimate,
                                                 int sample_rate_hz, double window_s) {
  require_equal_shapes(reference, estimate);
  const int64_t length = window_length(window_s, sample_rate_hz);
  std::vector<std::optional<double>> windows;
  for (int64_t begin = 0; begin + length <= reference.frames; begin += length) {
    const int64_t end = begin + length;
    if (channel_sum_is_zero(reference, begin, end) || channel_sum_is_zero(estimate, begin, end)) {
      windows.push_back(std::nullopt);
      continue;
    }
    const Energies sums = energies(reference, estimate, begin, end);
    windows.push_back(sums.distortion == 0.0 ? std::numeric_limits<double>::infinity()
                                             : 10.0 * std::log10(sums.signal / sums.distortion));
  }
  return windows;
}

std::optional<double> chunk_sdr_db(const AudioBuffer& reference, const AudioBuffer& estimate,
                                   int sample_rate_hz) {
  std::vector<double> counted;
  for (const std::optional<double>& window : window_sdr_db(reference, estimate, sample_rate_hz))
    if (window) counted.push_back(*window);
  if (counted.empty()) return std::nullopt;
  return median(std::move(counted));
}

std::optional<double> silence_leak_db(const AudioBuffer& reference, const AudioBuffer& estimate,
                                      int sample_rate_hz) {
  require_equal_shapes(reference, estimate);
  const int64_t length = window_length(kLeakWindow_s, sample_rate_hz);
  double leaked = 0.0;
  int64_t values = 0;
  for (int64_t begin = 0; begin + length <= reference.frames; begin += length) {
    const Energies sums = energies(reference, estimate, begin, begin + length);
    const int64_t count = length * reference.channels;
    if (sums.signal / static_cast<double>(count) >= kSilentMeanSquare) continue;
    leaked += sums.estimate;
    values += count;
  }
  if (values == 0) return std::nullopt;
  return 10.0 * std::log10(leaked / static_cast<double>(values));
}

double mean(const std::vector<double>& values) {
  if (values.empty()) throw Error(ErrorCode::kSettings, "The mean of no values was asked for.");
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double median(std::vector<double> values) {
  if (values.empty()) throw Error(ErrorCode::kSettings, "The median of no values was asked for.");
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle), values.end());
  const double upper = values[middle];
  if (values.size() % 2 == 1) return upper;
  const double lower =
      *std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle));
  return lower == upper ? upper : 0.5 * (lower + upper);  // two infinities have themselves as their middle
}

}  // namespace bsm
