#include "io/audio_file.h"

#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/part_file.h"

namespace bsm {
namespace {

struct CloseSndfile {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using SndfilePtr = std::unique_ptr<SNDFILE, CloseSndfile>;

constexpr int64_t kBlockFrames = 1 << 16;

/// Full scale of the left-aligned 32-bit samples that libsndfile takes, and of the 24 bits that FLAC keeps of
/// them.
constexpr float kScale24 = 8388608.0f;
constexpr int kLowest24 = -8388608, kHighest24 = 8388607;

Error write_error(const std::string& path, const std::string& reason) {
  return Error(ErrorCode::kOpenWrite, "The audio file " + path + " cannot be written: " + reason +
                                          ". Check the folder, its permissions and the free space.");
}

}  // namespace

struct AudioReader::Impl {
  std::string path;
  SF_INFO info{};
  SndfilePtr file;
};

AudioReader::AudioReader(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  std::error_code status_error;
  const auto status = std::filesystem::status(path, status_error);
  if (status.type() == std::filesystem::file_type::not_found)
    throw Error(ErrorCode::kNotFound, "The audio file " + path + " does not exist. Check its path.");
  if (status.type() == std::filesystem::file_type::directory)
    throw Error(ErrorCode::kOpenRead, path + " is a folder. Give the path of an audio file.");
  impl_->file.reset(sf_open(path.c_str(), SFM_READ, &impl_->info));
  if (impl_->file) return;
  const std::string reason = sf_strerror(nullptr);
  if (sf_error(nullptr) == SF_ERR_SYSTEM)
    throw Error(ErrorCode::kOpenRead, "The audio file " + path + " cannot be read: " + reason);
  throw Error(ErrorCode::kWrongType, path + " is no audio file that can be read (" + reason +
                                         ") Give a WAV, FLAC, Ogg, MP3 or AIFF file.");
}

AudioReader::~AudioReader() = default;
AudioReader::AudioReader(AudioReader&&) noexcept = default;

int AudioReader::sample_rate_hz() const { return impl_->info.samplerate; }
int AudioReader::channels() const { return impl_->info.channels; }
int64_t AudioReader::frames() const { return impl_->info.frames == SF_COUNT_MAX ? -1 : impl_->info.frames; }

int64_t AudioReader::read(float* interleaved, int64_t max_frames) {
  const sf_count_t frames = sf_readf_float(impl_->file.get(), interleaved, max_frames);
  if (frames < max_frames && sf_error(impl_->file.get()) != SF_ERR_NO_ERROR)
    throw Error(ErrorCode::kWrongType, "The audio file " + impl_->path + " is damaged: " +
                                           sf_strerror(impl_->file.get()) + " Copy or download it again.");
  return frames;
}

struct AudioWriter::Impl {
  Impl(const std::string& path, AudioFormat format_) : part(path), format(format_) {}

  PartFile part;
  AudioFormat format;
  SF_INFO info{};
  SndfilePtr file;
  int64_t clipped_samples = 0;
  std::vector<int> integers;

  /// Rounds to 24 bits, left-aligned in 32. NaN has no value to keep: silence.
  void to_24_bits(const float* samples, int64_t count) {
    integers.resize(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const float scaled = std::nearbyint(samples[i] * kScale24);
      const bool in_range = scaled >= kLowest24 && scaled <= kHighest24;
      if (!in_range) ++clipped_samples;
      const int value = in_range     ? static_cast<int>(scaled)
                        : scaled > 0 ? kHighest24
                        : scaled < 0 ? kLowest24
                                     : 0;
      integers[static_cast<size_t>(i)] = value * 256;
    }
  }
};

AudioWriter::AudioWriter(const std::string& path, AudioFormat format, int sample_rate_hz, int channels)
    : impl_(std::make_unique<Impl>(path, format)) {
  impl_->info.samplerate = sample_rate_hz;
  impl_->info.channels = channels;
  // RF64 is WAV for more than 4 GB; it is written only when needed (see below). The format stands here, so
  // the name of the part file need not end in .wav or .flac.
  impl_->info.format =
      format == AudioFormat::kFlac24 ? SF_FORMAT_FLAC | SF_FORMAT_PCM_24 : SF_FORMAT_RF64 | SF_FORMAT_FLOAT;
  if (!sf_format_check(&impl_->info))
    throw write_error(path, "its format has no " + std::to_string(channels) + " channels at " +
                                std::to_string(sample_rate_hz) + " Hz");
  impl_->file.reset(sf_open(impl_->part.part_path().c_str(), SFM_WRITE, &impl_->info));
  if (!impl_->file) throw write_error(impl_->part.part_path(), sf_strerror(nullptr));
  if (format == AudioFormat::kWavFloat32)
    sf_command(impl_->file.get(), SFC_RF64_AUTO_DOWNGRADE, nullptr, SF_TRUE);
  else  // otherwise a FLAC file without samples would have no header either
    sf_command(impl_->file.get(), SFC_UPDATE_HEADER_NOW, nullptr, 0);
}

AudioWriter::~AudioWriter() = default;
AudioWriter::AudioWriter(AudioWriter&&) noexcept = default;

void AudioWriter::write(const float* interleaved, int64_t frames) {
  while (frames > 0) {
    const int64_t block = std::min(frames, kBlockFrames);
    sf_count_t written = 0;
    if (impl_->format == AudioFormat::kFlac24) {
      impl_->to_24_bits(interleaved, block * impl_->info.channels);
      written = sf_writef_int(impl_->file.get(), impl_->integers.data(), block);
    } else {
      written = sf_writef_float(impl_->file.get(), interleaved, block);
    }
    if (written != block) throw write_error(impl_->part.part_path(), sf_strerror(impl_->file.get()));
    interleaved += block * impl_->info.channels;
    frames -= block;
  }
}

void AudioWriter::close() {
  if (const int error = sf_close(impl_->file.release()); error != SF_ERR_NO_ERROR)
    throw write_error(impl_->part.part_path(), sf_error_number(error));
  impl_->part.publish();
}

int64_t AudioWriter::clipped_samples() const { return impl_->clipped_samples; }

AudioBuffer read_audio(const std::string& path, int* sample_rate_hz) {
  AudioReader reader(path);
  const int channels = reader.channels();
  // Grown while reading: the length in a header is a claim.
  std::vector<float> interleaved;
  int64_t frames = 0, got = 0;
  do {
    interleaved.resize(static_cast<size_t>((frames + kBlockFrames) * channels));
    got = reader.read(interleaved.data() + frames * channels, kBlockFrames);
    frames += got;
  } while (got == kBlockFrames);
  AudioBuffer audio(channels, frames);
  for (int c = 0; c < channels; ++c) {
    float* const row = audio.channel(c);
    for (int64_t i = 0; i < frames; ++i) row[i] = interleaved[static_cast<size_t>(i * channels + c)];
  }
  if (sample_rate_hz) *sample_rate_hz = reader.sample_rate_hz();
  return audio;
}

}  // namespace bsm
