#include "train/library.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"

namespace bsm {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_audio(const fs::path& path) {
  static const std::set<std::string> extensions{".wav",  ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif",
                                                ".aiff", ".aifc", ".au",  ".w64", ".rf64", ".caf"};
  return extensions.contains(lower(path.extension().string()));
}

/// The audio files of one folder, by lower-case stem.
std::multimap<std::string, std::string> audio_in(const fs::path& folder) {
  std::multimap<std::string, std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && is_audio(entry.path()))
      found.emplace(lower(entry.path().stem().string()), entry.path().string());
  return found;
}

/// The only file with that stem, or nothing.
std::vector<std::string> only(const std::multimap<std::string, std::string>& files, const std::string& stem,
                              const fs::path& folder) {
  const auto [first, last] = files.equal_range(stem);
  if (first == last) return {};
  if (std::next(first) != last)
    throw Error(ErrorCode::kWrongType, "The song folder " + folder.string() + " holds several files called " +
                                           stem + ".*; keep one of them.");
  return {first->second};
}

/// The song in `folder`; without vocals or accompaniment it is none (empty paths).
SongFiles song_in(const fs::path& folder, const std::multimap<std::string, std::string>& files) {
  SongFiles song;
  song.folder = folder.string();
  song.vocals.role = StemRole::kVocals;
  song.accompaniment.role = StemRole::kInstrumental;
  song.vocals.paths = only(files, "vocals", folder);
  if (song.vocals.paths.empty()) return song;
  std::vector<std::string>& band = song.accompaniment.paths;
  for (const char* name : {"accompaniment", "instrumental"})
    if (band.empty()) band = only(files, name, folder);
  if (!band.empty()) return song;
  for (const auto& [name, part] :
       {std::pair("drums", BandPart::kDrums), {"bass", BandPart::kBass}, {"other", BandPart::kOther}})
    for (const std::string& path : only(files, name, folder)) {
      band.push_back(path);
      song.parts.push_back({{path}, StemRole::kInstrumental, -1, part});
    }
  return song;
}

void search(const fs::path& folder, const std::set<fs::path>& excluded, std::set<fs::path>& seen,
            const StemRole* pool, AudioLibrary& library) {
  const fs::path real = fs::canonical(folder);
  if (excluded.contains(real) || !seen.insert(real).second) return;

  const auto files = audio_in(folder);
  SongFiles song = song_in(folder, files);
  if (!song.vocals.paths.empty() && !song.accompaniment.paths.empty()) {
    library.songs.push_back(std::move(song));
  } else if (pool) {
    for (const auto& [stem, path] : files) library.loose.push_back({{path}, *pool, -1});
  }

  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  static constexpr StemRole kVocalPool = StemRole::kVocals;
  static constexpr StemRole kInstrumentalPool = StemRole::kInstrumental;
  for (const fs::path& child : folders) {
    const std::string name = lower(child.filename().string());
    const StemRole* child_pool = name == "vocals"         ? &kVocalPool
                                 : name == "instrumental" ? &kInstrumentalPool
                                                          : pool;
    search(child, excluded, seen, child_pool, library);
  }
}

}  // namespace

AudioLibrary find_audio(const std::string& dir, const std::vector<std::string>& excluded) {
  std::error_code none;
  if (!fs::is_directory(dir, none))
    throw Error(ErrorCode::kNotFound, "The audio folder " + dir +
                                          " does not exist; give a folder of song folders, or one "
                                          "with the folders vocals and instrumental.");
  std::set<fs::path> excluded_real;
  for (const std::string& path : excluded)
    if (fs::exists(path, none)) excluded_real.insert(fs::canonical(path));
  AudioLibrary library;
  std::set<fs::path> seen;
  try {
    search(dir, excluded_real, seen, nullptr, library);
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::kOpenRead, std::string("A folder of audio cannot be read: ") + error.what());
  }
  return library;
}

std::vector<TrackFiles> all_tracks(const AudioLibrary& library, bool separate_stems) {
  const auto refuse = [](const std::string& path) {
    throw Error(ErrorCode::kSettings,
                "separate_stems needs songs that are stored as vocals, drums, bass and other; " + path +
                    " is an instrumental in one piece.");
  };
  std::vector<TrackFiles> tracks;
  for (size_t number = 0; number < library.songs.size(); ++number) {
    const SongFiles& song = library.songs[number];
    const size_t first = tracks.size();
    tracks.push_back(song.vocals);
    if (separate_stems) {
      if (song.parts.empty()) refuse(song.accompaniment.paths[0]);
      tracks.insert(tracks.end(), song.parts.begin(), song.parts.end());
    } else {
      tracks.push_back(song.accompaniment);
    }
    for (size_t i = first; i < tracks.size(); ++i) tracks[i].song = static_cast<int>(number);
  }
  if (separate_stems)
    for (const TrackFiles& track : library.loose)
      if (track.role == StemRole::kInstrumental) refuse(track.paths[0]);
  tracks.insert(tracks.end(), library.loose.begin(), library.loose.end());
  return tracks;
}

}  // namespace bsm
