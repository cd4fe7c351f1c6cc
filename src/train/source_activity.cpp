#include "train/source_activity.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace bsm {
namespace {

constexpr int kCells = 10;  // sub-windows of a segment
constexpr int kStep = kCells / 2;
constexpr double kQuantile = 0.15;
constexpr double kLeastRms = 1e-3;

using Levels = std::vector<double>;

/// RMS of each whole sub-window of one channel, relative to full scale.
Levels cell_levels(const DecodedTrack& track, int channel, int64_t cell_samples) {
  Levels levels;
  for (int64_t start = 0; start + cell_samples <= track.frames(); start += cell_samples) {
    double energy = 0;
    for (int64_t i = start; i < start + cell_samples; ++i) {
      const double sample = track.samples[static_cast<size_t>(2 * i + channel)] / 32768.0;
      energy += sample * sample;
    }
    levels.push_back(std::sqrt(energy / static_cast<double>(cell_samples)));
  }
  return levels;
}

bool is_active(const double* levels) {
  std::array<double, kCells> sorted;
  std::copy_n(levels, kCells, sorted.begin());
  std::sort(sorted.begin(), sorted.end());
  const double place = kQuantile * (kCells - 1);
  const auto below = static_cast<size_t>(place);
  const double quantile = std::lerp(sorted[below], sorted[below + 1], place - static_cast<double>(below));
  const double limit = std::max(quantile, kLeastRms);
  return std::count_if(levels, levels + kCells, [limit](double level) { return level > limit; }) > kCells / 2;
}

}  // namespace

std::vector<int64_t> active_segments(const DecodedTrack& track, int64_t segment_samples) {
  const int64_t cell_samples = segment_samples / kCells;
  const Levels left = cell_levels(track, 0, cell_samples), right = cell_levels(track, 1, cell_samples);
  std::vector<int64_t> starts;
  for (size_t cell = 0; cell + kCells <= left.size(); cell += kStep)
    if (is_active(&left[cell]) && is_active(&right[cell]))
      starts.push_back(static_cast<int64_t>(cell) * cell_samples);
  return starts;
}

}  // namespace bsm
