// One audio file to two, block by block: read, resample to the model's rate, separate, resample back, write.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/audio_file.h"
#include "separate/offline.h"

namespace bsm {

/// Files to write; an empty path leaves that stem out.
struct StemPaths {
  std::string vocals;
  std::string instrumental;
  std::vector<std::string> wanted() const;
};

struct SeparatedFile {
  int64_t frames = 0;
  int64_t clipped_samples = 0;     ///< over both files; FLAC only
  int64_t not_finite_samples = 0;  ///< of the input, taken as silence
};

/// Separates `input` (mono or stereo, any rate). Each output has the input's rate, channels and number of
/// frames.
///
/// instrumental = input - vocals, sample by sample at the input's rate and in float: the stems sum to the
/// input at every rate, and what the model's rate cannot hold (above 22 kHz) stays in the instrumental.
/// Memory does not depend on the length. No output appears under its name before both are fully written.
///
/// @param on_progress called with the input frames that are finished
/// @throws Error
SeparatedFile separate_file(const std::shared_ptr<const Model>& model, AudioReader& input,
                            const std::string& input_name, const StemPaths& outputs, AudioFormat format,
                            const OfflineOptions& options, const std::function<void(int64_t)>& on_progress);

/// Throws Error(kSettings) for files with more than two channels.
void require_mono_or_stereo(const AudioReader& input, const std::string& input_name);

}  // namespace bsm
