#include "cli/songs.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "core/error.h"
#include "io/audio_file.h"
#include "io/resampler.h"

namespace bsm {
namespace {

namespace fs = std::filesystem;

/// The audio files of one folder by their name without extension, in lower case.
using Stems = std::map<std::string, std::string>;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_audio(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3",
                                                    ".aif", ".aiff", ".w64", ".caf", ".au"};
  return kExtensions.count(lower_case(path.extension().string())) > 0;
}

std::string song_name(const fs::path& folder, const fs::path& data_dir) {
  std::string name = folder.lexically_relative(data_dir).generic_string();
  if (name == ".") name = folder.filename().string();
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

bool is_stem(const std::string& name) {
  return name == "vocals" || name == "accompaniment" || name == "drums" || name == "bass" || name == "other";
}

std::optional<SongFolder> as_song(const fs::path& folder, const fs::path& data_dir, const Stems& stems) {
  const auto vocals = stems.find("vocals");
  if (vocals == stems.end()) return std::nullopt;
  SongFolder song{song_name(folder, data_dir), vocals->second, {}};
  if (const auto accompaniment = stems.find("accompaniment"); accompaniment != stems.end()) {
    song.accompaniment = {accompaniment->second};
    return song;
  }
  for (const char* part : {"drums", "bass", "other"}) {
    const auto found = stems.find(part);
    if (found == stems.end()) return std::nullopt;
    song.accompaniment.push_back(found->second);
  }
  return song;
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

double window_energy(const AudioBuffer& audio, int64_t begin, int64_t end) {
  double energy = 0;
  for (int c = 0; c < audio.channels; ++c) {
    for (int64_t i = begin; i < end; ++i)
      energy += static_cast<double>(audio.channel(c)[i]) * audio.channel(c)[i];
  }
  return energy;
}

}  // namespace

std::vector<SongFolder> find_songs(const std::string& data_dir) {
  std::error_code error;
  const fs::path root = fs::absolute(data_dir).lexically_normal() / "";
  if (!fs::is_directory(root, error)) {
    throw Error(ErrorCode::kNotFound, "The data folder " + data_dir + " does not exist or is no folder.");
  }
  std::map<fs::path, Stems> folders;
  const auto options = fs::directory_options::follow_directory_symlink;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root, options)) {
    if (!entry.is_regular_file() || !is_audio(entry.path())) continue;
    const std::string path = entry.path().string();
    const auto [other, added] =
        folders[entry.path().parent_path()].emplace(lower_case(entry.path().stem().string()), path);
    if (!added && is_stem(other->first)) {
      throw Error(ErrorCode::kSettings,
                  path + " and " + other->second + " are the same stem twice: keep one of them.");
    }
  }
  std::vector<SongFolder> songs;
  for (const auto& [folder, stems] : folders) {
    if (auto song = as_song(folder, root.parent_path(), stems)) songs.push_back(std::move(*song));
  }
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

void set_balance(Song& song, double balance_db, int sample_rate_hz, const std::string& name) {
  constexpr double kSilenceMeanSquare = 1e-6;  // -60 dBFS
  const int64_t window = sample_rate_hz / 10;
  double vocals_energy = 0;
  double band_energy = 0;
  for (int64_t begin = 0; begin + window <= song.vocals.frames; begin += window) {
    const double energy = window_energy(song.vocals, begin, begin + window);
    if (energy <= kSilenceMeanSquare * static_cast<double>(window * song.vocals.channels)) continue;
    vocals_energy += energy;
    band_energy += window_energy(song.accompaniment, begin, begin + window);
  }
  if (vocals_energy == 0 || band_energy == 0) {
    throw Error(ErrorCode::kSettings,
                "The song " + name +
                    " has no balance to set: its voice or its band never sounds. Leave it out of the data.");
  }
  const double gain = std::sqrt(band_energy / vocals_energy) * std::pow(10.0, balance_db / 20);
  for (float& sample : song.vocals.samples) sample = static_cast<float>(sample * gain);
}

}  // namespace bsm
