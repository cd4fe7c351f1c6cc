// Audio files through libsndfile, in blocks, so that memory does not grow with a file's length.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/audio.h"

namespace bsm {

class AudioReader {
 public:
  /// Throws Error: kNotFound, kOpenRead, kWrongType (a sentence that names the format problem).
  explicit AudioReader(const std::string& path);
  ~AudioReader();
  AudioReader(AudioReader&&) noexcept;

  int sample_rate_hz() const;
  int channels() const;
  /// Frames in the file as its header states, or -1 when unknown.
  int64_t frames() const;
  /// Reads up to `max_frames` interleaved frames; fewer only at the end, 0 at the end.
  int64_t read(float* interleaved, int64_t max_frames);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

enum class AudioFormat { kFlac24, kWavFloat32 };

/// Writes to `path`.part; close() makes it `path`. Destroyed without close(): the part file is removed.
class AudioWriter {
 public:
  /// Throws Error(kOpenWrite).
  AudioWriter(const std::string& path, AudioFormat format, int sample_rate_hz, int channels);
  ~AudioWriter();
  AudioWriter(AudioWriter&&) noexcept;

  /// Throws Error(kOpenWrite) when not all could be written (disk full). FLAC clips at full scale;
  /// clipped_samples() counts.
  void write(const float* interleaved, int64_t frames);
  void close();
  int64_t clipped_samples() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A whole file, planar. For training and scoring; separation reads in blocks.
AudioBuffer read_audio(const std::string& path, int* sample_rate_hz);

}  // namespace bsm
