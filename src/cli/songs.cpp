#include "cli/songs.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "io/audio_file.h"
#include "io/resampler.h"
#include "train/library.h"

namespace bsm {
namespace {

namespace fs = std::filesystem;

std::string song_name(const fs::path& folder, const fs::path& data_dir) {
  std::string name = folder.lexically_relative(data_dir).generic_string();
  if (name == ".") name = folder.filename().string();
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

AudioBuffer read_at_rate(const std::string& path, int sample_rate_hz) {
  int rate_hz = 0;
  AudioBuffer audio = read_audio(path, &rate_hz);
  if (rate_hz == sample_rate_hz) return audio;
  std::vector<float> interleaved(audio.samples.size());
  for (int c = 0; c < audio.channels; ++c) {
    for (int64_t i = 0; i < audio.frames; ++i)
      interleaved[static_cast<size_t>(i * audio.channels + c)] = audio.channel(c)[i];
  }
  std::vector<float> resampled;
  Resampler(rate_hz, sample_rate_hz, audio.channels)
      .process(interleaved.data(), audio.frames, true, resampled);
  AudioBuffer result(audio.channels, static_cast<int64_t>(resampled.size()) / audio.channels);
  for (int c = 0; c < result.channels; ++c) {
    for (int64_t i = 0; i < result.frames; ++i) {
      result.channel(c)[i] = resampled[static_cast<size_t>(i * result.channels + c)];
    }
  }
  return result;
}

/// Adds `part` to `sum`; both shapes grow to the larger one.
AudioBuffer added(const AudioBuffer& sum, const AudioBuffer& part) {
  AudioBuffer result(std::max(sum.channels, part.channels), std::max(sum.frames, part.frames));
  for (const AudioBuffer* source : {&sum, &part}) {
    for (int c = 0; c < result.channels && source->channels > 0; ++c) {
      const float* from = source->channel(std::min(c, source->channels - 1));
      float* to = result.channel(c);
      for (int64_t i = 0; i < source->frames; ++i) to[i] += from[i];
    }
  }
  return result;
}

}  // namespace

std::vector<SongFolder> find_songs(const std::string& data_dir) {
  const fs::path root = fs::absolute(data_dir).lexically_normal() / "";
  std::vector<SongFolder> songs;
  for (const SongFiles& song : find_audio(root.parent_path().string()).songs)
    songs.push_back(
        {song_name(song.folder, root.parent_path()), song.vocals.paths[0], song.accompaniment.paths});
  if (songs.empty()) {
    throw Error(ErrorCode::kNotFound,
                "No song found in " + data_dir +
                    ": expected folders with vocals.* and accompaniment.* (or drums.*, bass.* and other.*).");
  }
  return songs;
}

AudioBuffer Song::mixture() const { return added(vocals, accompaniment); }

Song load_song(const SongFolder& folder, int sample_rate_hz) {
  Song song{read_at_rate(folder.vocals, sample_rate_hz), {}};
  for (const std::string& path : folder.accompaniment) {
    song.accompaniment = added(song.accompaniment, read_at_rate(path, sample_rate_hz));
  }
  const AudioBuffer frame_of_both(std::max(song.vocals.channels, song.accompaniment.channels),
                                  std::max(song.vocals.frames, song.accompaniment.frames));
  song.vocals = added(song.vocals, frame_of_both);
  song.accompaniment = added(song.accompaniment, frame_of_both);
  return song;
}

}  // namespace bsm
