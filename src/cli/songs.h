// Songs with true stems, for evaluation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/audio.h"

namespace bsm {

/// A folder with vocals.* and either accompaniment.* or drums.*, bass.* and other.* (the layout of
/// MUSDB18-HQ).
struct SongFolder {
  std::string name;  ///< path below the data folder, "/" written as "."
  std::string vocals;
  std::vector<std::string> accompaniment;
};

/// All song folders at or below `data_dir`, by name. Throws Error(kNotFound) when there is none.
std::vector<SongFolder> find_songs(const std::string& data_dir);

struct Song {
  AudioBuffer vocals;
  AudioBuffer accompaniment;
  AudioBuffer mixture() const;
};

/// Reads a song at `sample_rate_hz` (resampled if need be). A stem that ends early is silent from there on; a
/// mono stem beside stereo ones stands on both channels. Throws Error.
Song load_song(const SongFolder& folder, int sample_rate_hz);

/// Scales the voice so that, while it sounds (100 ms windows of it above -60 dBFS RMS), its RMS stands
/// `balance_db` above the band's RMS in the same windows. Throws Error(kSettings) when one of them never
/// sounds there.
void set_balance(Song& song, double balance_db, int sample_rate_hz, const std::string& name);

}  // namespace bsm
