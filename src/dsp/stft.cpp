// The transforms of a whole signal, as plain loops over frames.
#include "dsp/stft.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace bsm {

Spectrogram stft(const AudioBuffer& audio, FrameTransform& transform) {
  const StftSpec& spec = transform.spec();
  const int64_t half = spec.n_fft / 2;
  const int64_t length = std::max(audio.frames, shortest_mirrored_samples(spec));
  Spectrogram spectrogram(audio.channels, spec.bins(), spec.frames(audio.frames));
  const int64_t stride = int64_t{2} * audio.channels;

  std::vector<float> padded(static_cast<size_t>(length + 2 * half));
  for (int c = 0; c < audio.channels; ++c) {
    const float* samples = audio.channel(c);
    for (int64_t i = 0; i < static_cast<int64_t>(padded.size()); ++i) {
      const int64_t source = mirrored(i - half, length);
      padded[static_cast<size_t>(i)] = source < audio.frames ? samples[source] : 0.0f;
    }
    for (int64_t t = 0; t < spectrogram.frames; ++t)
      transform.analyse(padded.data() + t * spec.hop, spectrogram.frame(t) + 2 * c, stride);
  }
  return spectrogram;
}

AudioBuffer istft(const Spectrogram& spectrogram, int64_t samples, FrameTransform& transform) {
  const StftSpec& spec = transform.spec();
  if (spectrogram.bins != spec.bins())
    throw Error(ErrorCode::kSettings, "The inverse STFT got " + std::to_string(spectrogram.bins) +
                                          " bins; expected " + std::to_string(spec.bins()) + ".");
  const int64_t half = spec.n_fft / 2;
  const int64_t stride = int64_t{2} * spectrogram.channels;
  const int64_t covered = std::max<int64_t>(spectrogram.frames - 1, 0) * spec.hop + spec.n_fft;
  const int64_t padded_length = std::max(covered, samples + half);

  std::vector<float> window_sum(static_cast<size_t>(padded_length), 0.0f);
  for (int64_t t = 0; t < spectrogram.frames; ++t)
    for (int i = 0; i < spec.n_fft; ++i) {
      const float w = transform.window()[static_cast<size_t>(i)];
      window_sum[static_cast<size_t>(t * spec.hop + i)] += w * w;
    }

  AudioBuffer audio(spectrogram.channels, samples);
  std::vector<float> sum(static_cast<size_t>(padded_length)), windowed(static_cast<size_t>(spec.n_fft));
  for (int c = 0; c < spectrogram.channels; ++c) {
    std::fill(sum.begin(), sum.end(), 0.0f);
    for (int64_t t = 0; t < spectrogram.frames; ++t) {
      transform.synthesise(spectrogram.frame(t) + 2 * c, stride, windowed.data());
      for (size_t i = 0; i < windowed.size(); ++i) sum[static_cast<size_t>(t * spec.hop) + i] += windowed[i];
    }
    for (int64_t s = 0; s < samples; ++s) {
      const size_t at = static_cast<size_t>(s + half);
      audio.channel(c)[s] = window_sum[at] > kSmallestWindowSum ? sum[at] / window_sum[at] : 0.0f;
    }
  }
  return audio;
}

}  // namespace bsm
