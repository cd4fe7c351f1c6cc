// Short-time Fourier transform and its inverse, equal to torch.stft / torch.istft with a periodic Hann
// window, center=True, reflect padding, no normalisation (docs: shared network.md, "Signal front end").
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/audio.h"

namespace bsm {

/// Sizes of the transform, all in samples. Everything that follows from them is derived here.
struct StftSpec {
  int n_fft = 2048;
  int win = 2048;  ///< window length, at most n_fft, centred in it
  int hop = 441;

  int bins() const { return n_fft / 2 + 1; }
  /// Frames that cover `samples` samples: frame t is centred on sample t * hop.
  int64_t frames(int64_t samples) const { return samples / hop + 1; }
  /// Delay of analysis followed by synthesis when one hop at a time is processed, beyond that hop itself.
  int64_t tail_samples() const { return n_fft - hop; }
  bool operator==(const StftSpec&) const = default;
};

/// A spectrogram in the order in which the network reads it: [frames][bins][channels][re, im].
struct Spectrogram {
  int channels = 0;
  int bins = 0;
  int64_t frames = 0;
  std::vector<float> values;

  Spectrogram() = default;
  Spectrogram(int channels_, int bins_, int64_t frames_)
      : channels(channels_),
        bins(bins_),
        frames(frames_),
        values(static_cast<size_t>(frames_) * bins_ * channels_ * 2, 0.0f) {}

  int64_t frame_size() const { return int64_t{2} * bins * channels; }
  float* frame(int64_t t) { return values.data() + t * frame_size(); }
  const float* frame(int64_t t) const { return values.data() + t * frame_size(); }
};

/// Transforms single frames; plans and window are made once in the constructor. One object per thread.
class FrameTransform {
 public:
  /// Throws Error(kSettings) for sizes that cannot work (odd n_fft, win > n_fft, hop > win / 2).
  explicit FrameTransform(const StftSpec& spec);
  ~FrameTransform();
  FrameTransform(FrameTransform&&) noexcept;
  FrameTransform& operator=(FrameTransform&&) noexcept;

  const StftSpec& spec() const;
  /// The window laid out over n_fft samples (zeros outside win).
  const std::vector<float>& window() const;
  /// n_fft samples -> spectrum; bin f goes to out[f * stride] and out[f * stride + 1] (re, im).
  void analyse(const float* samples, float* out, int64_t stride);
  /// Spectrum -> n_fft windowed samples (to be overlapped, added and divided by the window sum).
  void synthesise(const float* spectrum, int64_t stride, float* samples);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Where sample `position` is found in a signal of `length` samples that is mirrored at both ends (end
/// samples not repeated). Valid for -length < position < 2 * length - 1.
inline int64_t mirrored(int64_t position, int64_t length) {
  if (position < 0) return -position;
  return position < length ? position : 2 * (length - 1) - position;
}

/// Length from which mirroring by n_fft / 2 samples is defined; shorter signals count as followed by zeros up
/// to it.
inline int64_t shortest_mirrored_samples(const StftSpec& spec) { return spec.n_fft / 2 + 1; }

/// Summed squared windows below this are no signal (the edge of the transform); such samples are 0.
inline constexpr float kSmallestWindowSum = 1e-11f;

/// Whole-signal transform: frames(audio.frames) frames. Signals no longer than n_fft / 2 are taken as
/// followed by zeros up to n_fft / 2 + 1 samples, because reflection is not defined for them.
Spectrogram stft(const AudioBuffer& audio, FrameTransform& transform);

/// Inverse of stft(): `samples` samples, overlap-add divided by the summed squared window.
AudioBuffer istft(const Spectrogram& spectrogram, int64_t samples, FrameTransform& transform);

}  // namespace bsm
