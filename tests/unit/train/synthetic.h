// Small signals and folders for the tests of src/train.
#pragma once

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <numbers>
#include <string>
#include <vector>

#include "core/audio.h"
#include "train/decode.h"

namespace bsm::test {

inline constexpr int kRate_hz = 44100;

/// A folder that disappears with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bsm_train_XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::string string() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// Stereo sine: left at `amplitude`, right at half of it.
inline AudioBuffer sine(double hz, double amplitude, int64_t frames, int rate_hz = kRate_hz) {
  AudioBuffer audio(2, frames);
  for (int64_t i = 0; i < frames; ++i) {
    const double value = amplitude * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate_hz);
    audio.channel(0)[i] = static_cast<float>(value);
    audio.channel(1)[i] = static_cast<float>(value / 2);
  }
  return audio;
}

inline DecodedTrack to_track(const AudioBuffer& audio, StemRole role, int song = -1) {
  DecodedTrack track;
  track.role = role;
  track.song = song;
  track.samples.resize(static_cast<size_t>(audio.frames) * 2);
  for (int64_t i = 0; i < audio.frames; ++i)
    for (int c = 0; c < 2; ++c)
      track.samples[2 * i + c] = static_cast<int16_t>(std::lrint(audio.channel(c)[i] * 32767.0f));
  return track;
}

}  // namespace bsm::test
