#include "train/track_index.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "train/source_activity.h"

namespace bsm {
namespace {

std::vector<int32_t> count_sounding(const DecodedTrack& track, int64_t window) {
  const double limit = kSoundingRms * 32768 * kSoundingRms * 32768;
  std::vector<int32_t> before{0};
  for (int64_t start = 0; start < track.frames(); start += window) {
    const int64_t end = std::min(start + window, track.frames());
    double energy = 0;
    for (int64_t i = 2 * start; i < 2 * end; ++i)
      energy += static_cast<double>(track.samples[i]) * track.samples[i];
    before.push_back(before.back() + (energy > limit * static_cast<double>(2 * (end - start)) ? 1 : 0));
  }
  return before;
}

double seconds(const std::vector<IndexedTrack>& tracks, int sample_rate_hz) {
  double frames = 0;
  for (const IndexedTrack& track : tracks) frames += static_cast<double>(track.frames);
  return frames / sample_rate_hz;
}

}  // namespace

int64_t sounding_window_samples(int sample_rate_hz) {
  return static_cast<int64_t>(std::llround(kSoundingWindow_s * sample_rate_hz));
}

double TrackIndex::vocals_s() const { return seconds(vocals, sample_rate_hz); }
double TrackIndex::instrumental_s() const { return seconds(instrumental, sample_rate_hz); }

TrackIndex index_tracks(const std::vector<DecodedTrack>& tracks, int sample_rate_hz,
                        int64_t active_segment_samples) {
  TrackIndex index;
  index.sample_rate_hz = sample_rate_hz;
  index.packed_frames = kGuardSamples;
  std::map<int, std::pair<int, int>> songs;
  for (const DecodedTrack& track : tracks) {
    IndexedTrack indexed;
    indexed.first = index.packed_frames;
    indexed.frames = track.frames();
    indexed.song = track.song;
    indexed.part = track.part;
    index.packed_frames += track.frames() + kGuardSamples;
    if (track.frames() == 0) continue;
    indexed.sounding_before = count_sounding(track, sounding_window_samples(sample_rate_hz));
    if (active_segment_samples > 0) indexed.active_starts = active_segments(track, active_segment_samples);
    const bool vocal = track.role == StemRole::kVocals;
    std::vector<IndexedTrack>& pool = vocal ? index.vocals : index.instrumental;
    if (track.song >= 0 && track.part == BandPart::kWhole) {
      auto& song = songs.try_emplace(track.song, -1, -1).first->second;
      (vocal ? song.first : song.second) = static_cast<int>(pool.size());
    }
    pool.push_back(std::move(indexed));
  }
  for (const auto& [number, song] : songs)
    if (song.first >= 0 && song.second >= 0) index.songs.push_back(song);
  for (const auto& [pool, name] :
       {std::pair(&index.vocals, "vocals"), std::pair(&index.instrumental, "instrumental")})
    if (pool->empty())
      throw Error(ErrorCode::kSettings,
                  std::string("The training folder holds no ") + name +
                      ": expected song folders "
                      "(vocals.* with accompaniment.* or drums.*, bass.*, other.*) or audio files "
                      "below a folder called " +
                      name + ".");
  return index;
}

double sounding_fraction(const IndexedTrack& track, int sample_rate_hz, int64_t start, int64_t length) {
  const int64_t window = sounding_window_samples(sample_rate_hz);
  const int64_t windows = static_cast<int64_t>(track.sounding_before.size()) - 1;
  const int64_t first = std::clamp<int64_t>(start / window, 0, windows);
  const int64_t last = std::clamp<int64_t>((start + length + window - 1) / window, first, windows);
  const int64_t touched = (length + window - 1) / window;  // windows beyond the track's end are silent
  if (touched <= 0) return 0;
  const int64_t sounding = track.sounding_before[last] - track.sounding_before[first];
  return std::min(1.0, static_cast<double>(sounding) / static_cast<double>(touched));
}

std::vector<int64_t> to_numbers(const TrackIndex& index) {
  std::vector<int64_t> numbers{index.sample_rate_hz, index.packed_frames};
  for (const auto* tracks : {&index.vocals, &index.instrumental}) {
    numbers.push_back(static_cast<int64_t>(tracks->size()));
    for (const IndexedTrack& track : *tracks) {
      numbers.insert(numbers.end(), {track.first, track.frames, track.song, static_cast<int64_t>(track.part),
                                     static_cast<int64_t>(track.sounding_before.size()),
                                     static_cast<int64_t>(track.active_starts.size())});
      numbers.insert(numbers.end(), track.sounding_before.begin(), track.sounding_before.end());
      numbers.insert(numbers.end(), track.active_starts.begin(), track.active_starts.end());
    }
  }
  numbers.push_back(static_cast<int64_t>(index.songs.size()));
  for (const auto& [vocals, instrumental] : index.songs)
    numbers.insert(numbers.end(), {vocals, instrumental});
  return numbers;
}

TrackIndex from_numbers(const std::vector<int64_t>& numbers) {
  auto next = numbers.begin();
  TrackIndex index;
  index.sample_rate_hz = static_cast<int>(*next++);
  index.packed_frames = *next++;
  for (auto* tracks : {&index.vocals, &index.instrumental}) {
    tracks->resize(static_cast<size_t>(*next++));
    for (IndexedTrack& track : *tracks) {
      track.first = *next++;
      track.frames = *next++;
      track.song = static_cast<int>(*next++);
      track.part = static_cast<BandPart>(*next++);
      const int64_t windows = *next++;
      const int64_t segments = *next++;
      track.sounding_before.assign(next, next + windows);
      next += windows;
      track.active_starts.assign(next, next + segments);
      next += segments;
    }
  }
  index.songs.resize(static_cast<size_t>(*next++));
  for (auto& [vocals, instrumental] : index.songs) {
    vocals = static_cast<int>(*next++);
    instrumental = static_cast<int>(*next++);
  }
  return index;
}

}  // namespace bsm
