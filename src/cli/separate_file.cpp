#include "cli/separate_file.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "cli/frame_fifo.h"
#include "cli/interrupt.h"
#include "cli/stems.h"
#include "core/error.h"
#include "io/resampler.h"

namespace bsm {
namespace {

constexpr int64_t kBlockFrames = 16384;

/// The two ends of the separator: source() feeds it the input at the model's rate, sink() writes what it
/// returns.
class FilePass {
 public:
  FilePass(AudioReader& input, int model_rate_hz, size_t vocals, const StemPaths& paths, AudioFormat format)
      : input_(input),
        channels_(input.channels()),
        vocals_index_(vocals),
        to_model_(input.sample_rate_hz(), model_rate_hz, channels_),
        from_model_(model_rate_hz, input.sample_rate_hz(), channels_),
        original_(channels_),
        model_input_(channels_),
        vocals_(channels_),
        block_(static_cast<size_t>(kBlockFrames * channels_)) {
    const auto lock = hold_interrupts();
    if (!paths.vocals.empty())
      vocals_writer_.emplace(paths.vocals, format, input.sample_rate_hz(), channels_);
    if (!paths.instrumental.empty()) {
      instrumental_writer_.emplace(paths.instrumental, format, input.sample_rate_hz(), channels_);
    }
  }

  int64_t source(float* const* planar, int64_t max_frames) {
    while (model_input_.frames() == 0 && !ended_) read_block();
    const int64_t frames = std::min(max_frames, model_input_.frames());
    for (int64_t i = 0; i < frames; ++i) {
      for (int c = 0; c < channels_; ++c) planar[c][i] = model_input_.head()[i * channels_ + c];
    }
    model_input_.consume(frames);
    return frames;
  }

  void sink(const float* const* const* outputs, int64_t frames) {
    const float* const* vocals = outputs[vocals_index_];
    interleaved_.resize(static_cast<size_t>(frames * channels_));
    for (int64_t i = 0; i < frames; ++i) {
      for (int c = 0; c < channels_; ++c) interleaved_[static_cast<size_t>(i * channels_ + c)] = vocals[c][i];
    }
    from_model_.process(interleaved_.data(), frames, false, vocals_.tail());
    write_ready();
  }

  SeparatedFile finish(const std::string& input_name) {
    from_model_.process(nullptr, 0, true, vocals_.tail());
    write_ready();
    pad_vocals(input_name);
    {
      const auto lock = hold_interrupts();
      if (vocals_writer_) vocals_writer_->close();
      if (instrumental_writer_) instrumental_writer_->close();
    }
    result_.clipped_samples = (vocals_writer_ ? vocals_writer_->clipped_samples() : 0) +
                              (instrumental_writer_ ? instrumental_writer_->clipped_samples() : 0);
    return result_;
  }

  int64_t frames_written() const { return result_.frames; }

 private:
  void read_block() {
    const int64_t frames = input_.read(block_.data(), kBlockFrames);
    ended_ = frames == 0;
    const auto samples = static_cast<size_t>(frames * channels_);
    for (size_t i = 0; i < samples; ++i) {
      if (std::isfinite(block_[i])) continue;
      block_[i] = 0.0f;
      ++result_.not_finite_samples;
    }
    original_.tail().insert(original_.tail().end(), block_.begin(),
                            block_.begin() + static_cast<std::ptrdiff_t>(samples));
    to_model_.process(block_.data(), frames, ended_, model_input_.tail());
  }

  void write_ready() {
    const int64_t frames = std::min(original_.frames(), vocals_.frames());
    if (frames == 0) return;
    const auto samples = static_cast<size_t>(frames * channels_);
    if (vocals_writer_) vocals_writer_->write(vocals_.head(), frames);
    if (instrumental_writer_) {
      interleaved_.resize(samples);
      for (size_t i = 0; i < samples; ++i) interleaved_[i] = original_.head()[i] - vocals_.head()[i];
      instrumental_writer_->write(interleaved_.data(), frames);
    }
    original_.consume(frames);
    vocals_.consume(frames);
    result_.frames += frames;
  }

  /// Two conversions may round the length differently: the voice of the last frames is then silence.
  void pad_vocals(const std::string& input_name) {
    const int64_t missing = original_.frames();
    if (missing > input_.sample_rate_hz() / 1000 + 1) {
      throw Error(ErrorCode::kFailed, input_name + ": the separator returned " + std::to_string(missing) +
                                          " frames too few. This is a defect of bsmamba2: please report it.");
    }
    vocals_.tail().insert(vocals_.tail().end(), static_cast<size_t>(missing * channels_), 0.0f);
    write_ready();
  }

  AudioReader& input_;
  int channels_;
  size_t vocals_index_;
  Resampler to_model_;
  Resampler from_model_;
  FrameFifo original_;     // read, not yet written; the input's rate
  FrameFifo model_input_;  // read, not yet separated; the model's rate
  FrameFifo vocals_;       // separated, not yet written; the input's rate
  std::vector<float> block_;
  std::vector<float> interleaved_;
  std::optional<AudioWriter> vocals_writer_;
  std::optional<AudioWriter> instrumental_writer_;
  SeparatedFile result_;
  bool ended_ = false;
};

std::vector<std::string> part_paths(const StemPaths& outputs) {
  std::vector<std::string> paths = outputs.wanted();
  for (std::string& path : paths) path += ".part";
  return paths;
}

}  // namespace

std::vector<std::string> StemPaths::wanted() const {
  std::vector<std::string> paths;
  for (const std::string& path : {vocals, instrumental}) {
    if (!path.empty()) paths.push_back(path);
  }
  return paths;
}

void require_mono_or_stereo(const AudioReader& input, const std::string& input_name) {
  if (input.channels() == 1 || input.channels() == 2) return;
  throw Error(ErrorCode::kSettings, input_name + ": has " + std::to_string(input.channels()) +
                                        " channels, expected 1 or 2: mix it down to stereo first (for "
                                        "example ffmpeg -i INPUT -ac 2 OUTPUT).");
}

SeparatedFile separate_file(const std::shared_ptr<const Model>& model, AudioReader& input,
                            const std::string& input_name, const StemPaths& outputs, AudioFormat format,
                            const OfflineOptions& options, const std::function<void(int64_t)>& on_progress) {
  require_mono_or_stereo(input, input_name);
  const PartFiles parts(part_paths(outputs));
  FilePass pass(input, model->config().sample_rate_hz, vocals_index(model->config()), outputs, format);
  OfflineSeparator separator(model, options);
  separator.run(
      input.channels(),
      [&](float* const* planar, int64_t max_frames) { return pass.source(planar, max_frames); },
      [&](const float* const* const* stems, int64_t frames) {
        pass.sink(stems, frames);
        on_progress(pass.frames_written());
      });
  return pass.finish(input_name);
}

}  // namespace bsm
