// Audio files as 16-bit stereo at one rate, decoded by many threads; and the check that training and
// validation share no recording.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/audio.h"
#include "train/library.h"

namespace bsm {

/// What a file's samples are at 16 bits, whatever its name, container or lossless format. hash 0: it is
/// silent.
struct ContentMark {
  std::string path;
  uint64_t hash = 0;
  int64_t frames = 0;
};

/// A source signal in memory.
struct DecodedTrack {
  std::vector<int16_t> samples;  ///< interleaved left, right
  int song = -1;
  StemRole role = StemRole::kVocals;
  BandPart part = BandPart::kWhole;
  std::string path;                ///< of its first file
  std::vector<ContentMark> marks;  ///< one per file
  int64_t frames() const { return static_cast<int64_t>(samples.size() / 2); }
};

/// Decodes (and sums) the files of a track. Mono becomes two equal channels, other rates are resampled, a sum
/// above full scale is scaled down to it. Throws Error: kNotFound, kOpenRead, kWrongType (more than two
/// channels, not finite).
DecodedTrack decode_track(const TrackFiles& files, int sample_rate_hz);

/// decode_track() for all, in order, on `threads` threads (0: one per processor). The first error is thrown.
std::vector<DecodedTrack> decode_tracks(const std::vector<TrackFiles>& files, int sample_rate_hz,
                                        int threads);

AudioBuffer to_audio(const DecodedTrack& track);

/// Throws Error(kSettings) that names the files when a training file holds the same audio as a validation
/// file.
void check_no_leak(const std::vector<DecodedTrack>& training, const std::vector<DecodedTrack>& validation);

}  // namespace bsm
