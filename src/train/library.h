// Which files of a folder are voices, instrumentals and songs. No file is opened here.
#pragma once

#include <string>
#include <vector>

namespace bsm {

enum class StemRole { kVocals, kInstrumental };

/// What an instrumental holds.
enum class BandPart { kWhole, kDrums, kBass, kOther };

/// One source signal: a file, or several that are summed (drums + bass + other).
struct TrackFiles {
  std::vector<std::string> paths;
  StemRole role = StemRole::kVocals;
  int song = -1;  ///< tracks with the same number are stems of one song, aligned in time
  BandPart part = BandPart::kWhole;
};

/// A song folder: both stems.
struct SongFiles {
  std::string folder;
  TrackFiles vocals;
  TrackFiles accompaniment;
  std::vector<TrackFiles> parts;  ///< of the accompaniment, where it is stored as drums, bass and other
};

struct AudioLibrary {
  std::vector<SongFiles> songs;
  std::vector<TrackFiles> loose;  ///< files below folders called `vocals` or `instrumental`
};

/// Searches `dir` (following links, in alphabetical order) except the folders in `excluded`. A song folder
/// holds vocals.* and either accompaniment.* (or instrumental.*) or some of drums.*, bass.*, other.*; its
/// other files are ignored. Throws Error: kNotFound (no such folder), kWrongType (a song folder with two
/// files for one stem).
AudioLibrary find_audio(const std::string& dir, const std::vector<std::string>& excluded = {});

/// All tracks, the songs' stems numbered by their place in `songs`. With `separate_stems` the parts of the
/// accompaniments are tracks of their own; throws Error(kSettings) then for instrumentals that have none.
std::vector<TrackFiles> all_tracks(const AudioLibrary& library, bool separate_stems = false);

}  // namespace bsm
