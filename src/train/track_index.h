// Where each training track lies in the packed samples, and where it sounds. Plain numbers, no tensors: the
// random draws are made from it on the CPU.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "train/decode.h"

namespace bsm {

/// Silent samples between packed tracks, so that an interpolation kernel at a track's edge reads zeros.
inline constexpr int64_t kGuardSamples = 64;

/// Windows that decide whether a signal sounds, seconds, and the RMS above which it does (-60 dB relative to
/// full scale).
inline constexpr double kSoundingWindow_s = 0.1;
inline constexpr double kSoundingRms = 1e-3;

struct IndexedTrack {
  int64_t first = 0;  ///< place of its first sample in the packed samples
  int64_t frames = 0;
  int song = -1;
  BandPart part = BandPart::kWhole;
  /// Sounding windows before window w, for w = 0..number of windows.
  std::vector<int32_t> sounding_before;
  std::vector<int64_t> active_starts;  ///< see active_segments(); empty unless asked for
  bool operator==(const IndexedTrack&) const = default;
};

struct TrackIndex {
  int sample_rate_hz = 44100;
  int64_t packed_frames = 0;  ///< guards included
  std::vector<IndexedTrack> vocals;
  std::vector<IndexedTrack> instrumental;
  /// For each song with a voice and a whole band: their places in `vocals` and in `instrumental`.
  std::vector<std::pair<int, int>> songs;

  double vocals_s() const;
  double instrumental_s() const;
  bool operator==(const TrackIndex&) const = default;
};

/// Samples of one sounding window.
int64_t sounding_window_samples(int sample_rate_hz);

/// Lays the tracks out one after the other, each followed by a guard, the first preceded by one.
/// Segments of `active_segment_samples` are searched for activity, none when 0. Throws Error(kSettings) when
/// there are no voices or no instrumentals.
TrackIndex index_tracks(const std::vector<DecodedTrack>& tracks, int sample_rate_hz,
                        int64_t active_segment_samples = 0);

/// The part of the windows that touch [start, start + length) (of the track, in samples) that sound.
double sounding_fraction(const IndexedTrack& track, int sample_rate_hz, int64_t start, int64_t length);

/// The index as numbers, for another process, and back.
std::vector<int64_t> to_numbers(const TrackIndex& index);
TrackIndex from_numbers(const std::vector<int64_t>& numbers);

}  // namespace bsm
