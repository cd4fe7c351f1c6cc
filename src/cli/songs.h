// Songs with true stems, for evaluation.
#pragma once

#include <string>
#include <vector>

#include "core/audio.h"

namespace bsm {

/// A song folder as find_audio() knows them: vocals.* and accompaniment.*, or drums.*, bass.* and other.*
/// (the layout of MUSDB18-HQ).
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

}  // namespace bsm
