// Streaming transforms: the same arithmetic as stft.cpp, in the same order, on the part of the signal that is
// known.
#include "dsp/stft_stream.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace bsm {

FrameParts::FrameParts(const StftSpec& spec, ForEach for_each_, int threads)
    : for_each(std::move(for_each_)) {
  for (int i = 0; i < (for_each ? std::max(threads, 1) : 1); ++i)
    parts.push_back({FrameTransform(spec), std::vector<float>(static_cast<size_t>(spec.n_fft))});
}

StftStream::StftStream(const StftSpec& spec, int channels, ForEach for_each, int threads)
    : parts_(spec, std::move(for_each), threads),
      channels_(channels),
      history_(static_cast<size_t>(channels)) {}

void StftStream::push(const float* const* planar, int64_t frames) {
  for (int c = 0; c < channels_; ++c) history_[static_cast<size_t>(c)].append(planar[c], frames);
  samples_pushed_ += frames;
}

void StftStream::finish() { finished_ = true; }

int64_t StftStream::available() const {
  const StftSpec& spec = parts_.spec();
  return (finished_ ? spec.frames(samples_pushed_) : complete_frames(spec, samples_pushed_)) - next_frame_;
}

void StftStream::gather_edge(int channel, int64_t t, std::vector<float>& edge) const {
  const StftSpec& spec = parts_.spec();
  // Before the end is known, only the mirror at the start is asked for: the length does not matter then.
  const int64_t length = std::max(samples_pushed_, shortest_mirrored_samples(spec));
  const int64_t start = t * spec.hop - spec.n_fft / 2;
  const FloatQueue& history = history_[static_cast<size_t>(channel)];
  for (int i = 0; i < spec.n_fft; ++i) {
    const int64_t source = mirrored(start + i, length);
    edge[static_cast<size_t>(i)] = source < samples_pushed_ ? *history.at(source) : 0.0f;
  }
}

int64_t StftStream::pop_frames(float* out, int64_t max_frames) {
  const StftSpec& spec = parts_.spec();
  const int64_t half = spec.n_fft / 2;
  const int64_t stride = int64_t{2} * channels_;
  const int64_t count = std::min(available(), max_frames);
  parts_.run(count, [&](FrameParts::Part& part, int64_t k) {
    const int64_t centre = (next_frame_ + k) * spec.hop;
    const bool inside = centre >= half && centre + half <= samples_pushed_;
    for (int c = 0; c < channels_; ++c) {
      if (!inside) gather_edge(c, next_frame_ + k, part.samples);
      const float* samples =
          inside ? history_[static_cast<size_t>(c)].at(centre - half) : part.samples.data();
      part.transform.analyse(samples, out + k * stride * spec.bins() + 2 * c, stride);
    }
  });
  next_frame_ += count;
  // One sample more than the next frame touches: the last frame may mirror as far back as that.
  const int64_t needed = std::min(next_frame_ * spec.hop - half - 1, samples_pushed_);
  for (FloatQueue& history : history_) history.drop_before(needed);
  return count;
}

void StftStream::reset() {
  for (FloatQueue& history : history_) history.clear();
  samples_pushed_ = 0;
  next_frame_ = 0;
  finished_ = false;
}

IstftStream::IstftStream(const StftSpec& spec, int channels, ForEach for_each, int threads)
    : parts_(spec, std::move(for_each), threads),
      channels_(channels),
      windowed_(static_cast<size_t>(most_at_once() * channels * spec.n_fft)),
      overlap_(static_cast<size_t>(channels)) {
  for (const float w : parts_.parts.front().transform.window()) window_squared_.push_back(w * w);
  reset();
}

void IstftStream::push_frames(const float* values, int64_t frames) {
  const StftSpec& spec = parts_.spec();
  const int64_t stride = int64_t{2} * channels_;
  const auto add = [&](const float* samples, float* sum) {
    for (int i = 0; i < spec.n_fft; ++i) sum[i] += samples[i];
  };
  for (int64_t begin = 0; begin < frames; begin += most_at_once()) {
    const int64_t count = std::min(most_at_once(), frames - begin);
    const auto windowed = [&](int64_t k, int c) {
      return windowed_.data() + (k * channels_ + c) * spec.n_fft;
    };
    parts_.run(count, [&](FrameParts::Part& part, int64_t k) {
      for (int c = 0; c < channels_; ++c)
        part.transform.synthesise(values + (begin + k) * stride * spec.bins() + 2 * c, stride,
                                  windowed(k, c));
    });
    for (int64_t k = 0; k < count; ++k, ++frames_pushed_) {
      const int64_t start = frames_pushed_ * spec.hop - spec.n_fft / 2;
      const int64_t missing = start + spec.n_fft - window_sum_.end();
      for (int c = 0; c < channels_; ++c) {
        FloatQueue& overlap = overlap_[static_cast<size_t>(c)];
        overlap.extend(missing);
        add(windowed(k, c), overlap.at(start));
      }
      window_sum_.extend(missing);
      add(window_squared_.data(), window_sum_.at(start));
    }
  }
}

void IstftStream::finish(int64_t total_samples) {
  if (total_samples < popped_)
    throw Error(ErrorCode::kSettings, "The signal cannot end at sample " + std::to_string(total_samples) +
                                          ": " + std::to_string(popped_) +
                                          " samples have left the inverse STFT already.");
  total_ = total_samples;
  const int64_t missing = std::max<int64_t>(total_samples - window_sum_.end(), 0);
  for (FloatQueue& overlap : overlap_) overlap.extend(missing);
  window_sum_.extend(missing);
}

int64_t IstftStream::available() const {
  const int64_t end = total_ >= 0 ? total_ : final_samples(parts_.spec(), frames_pushed_);
  return end - popped_;
}

int64_t IstftStream::pop(float* const* planar, int64_t max_samples) {
  const int64_t count = std::min(available(), max_samples);
  if (count <= 0) return 0;
  const float* window_sum = window_sum_.at(popped_);
  for (int c = 0; c < channels_; ++c) {
    const float* overlap = overlap_[static_cast<size_t>(c)].at(popped_);
    for (int64_t s = 0; s < count; ++s)
      planar[c][s] = window_sum[s] > kSmallestWindowSum ? overlap[s] / window_sum[s] : 0.0f;
  }
  popped_ += count;
  for (FloatQueue& overlap : overlap_) overlap.drop_before(popped_);
  window_sum_.drop_before(popped_);
  return count;
}

void IstftStream::reset() {
  // Frame 0 starts n_fft / 2 samples before the signal.
  const int64_t origin = -parts_.spec().n_fft / 2;
  for (FloatQueue& overlap : overlap_) overlap.clear(origin);
  window_sum_.clear(origin);
  frames_pushed_ = 0;
  popped_ = 0;
  total_ = -1;
}

}  // namespace bsm
