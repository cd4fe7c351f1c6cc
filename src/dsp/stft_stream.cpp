// Streaming transforms: the same arithmetic as stft.cpp, in the same order, on the part of the signal that is
// known.
#include "dsp/stft_stream.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace bsm {

StftStream::StftStream(const StftSpec& spec, int channels)
    : transform_(spec),
      channels_(channels),
      history_(static_cast<size_t>(channels)),
      edge_(static_cast<size_t>(spec.n_fft)) {}

void StftStream::push(const float* const* planar, int64_t frames) {
  for (int c = 0; c < channels_; ++c) history_[static_cast<size_t>(c)].append(planar[c], frames);
  samples_pushed_ += frames;
}

void StftStream::finish() { finished_ = true; }

int64_t StftStream::available() const {
  const StftSpec& spec = transform_.spec();
  if (finished_) return spec.frames(samples_pushed_) - next_frame_;
  // Frame 0 mirrors up to sample n_fft / 2, every later frame ends n_fft / 2 samples after its centre.
  if (samples_pushed_ < shortest_mirrored_samples(spec)) return 0;
  return (samples_pushed_ - spec.n_fft / 2) / spec.hop + 1 - next_frame_;
}

void StftStream::gather_edge(int channel, int64_t t) {
  const StftSpec& spec = transform_.spec();
  // Before the end is known, only the mirror at the start is asked for: the length does not matter then.
  const int64_t length = std::max(samples_pushed_, shortest_mirrored_samples(spec));
  const int64_t start = t * spec.hop - spec.n_fft / 2;
  const FloatQueue& history = history_[static_cast<size_t>(channel)];
  for (int i = 0; i < spec.n_fft; ++i) {
    const int64_t source = mirrored(start + i, length);
    edge_[static_cast<size_t>(i)] = source < samples_pushed_ ? *history.at(source) : 0.0f;
  }
}

int64_t StftStream::pop_frames(float* out, int64_t max_frames) {
  const StftSpec& spec = transform_.spec();
  const int64_t half = spec.n_fft / 2;
  const int64_t stride = int64_t{2} * channels_;
  const int64_t count = std::min(available(), max_frames);
  for (int64_t k = 0; k < count; ++k, ++next_frame_, out += stride * spec.bins()) {
    const int64_t centre = next_frame_ * spec.hop;
    const bool inside = centre >= half && centre + half <= samples_pushed_;
    for (int c = 0; c < channels_; ++c) {
      if (!inside) gather_edge(c, next_frame_);
      const float* samples = inside ? history_[static_cast<size_t>(c)].at(centre - half) : edge_.data();
      transform_.analyse(samples, out + 2 * c, stride);
    }
  }
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

IstftStream::IstftStream(const StftSpec& spec, int channels)
    : transform_(spec), channels_(channels), overlap_(static_cast<size_t>(channels)) {
  for (const float w : transform_.window()) window_squared_.push_back(w * w);
  reset();
}

void IstftStream::push_frames(const float* values, int64_t frames) {
  const StftSpec& spec = transform_.spec();
  const int64_t stride = int64_t{2} * channels_;
  for (int64_t k = 0; k < frames; ++k, ++frames_pushed_, values += stride * spec.bins()) {
    const int64_t start = frames_pushed_ * spec.hop - spec.n_fft / 2;
    const int64_t missing = start + spec.n_fft - window_sum_.end();
    for (int c = 0; c < channels_; ++c) {
      FloatQueue& overlap = overlap_[static_cast<size_t>(c)];
      overlap.extend(missing);
      transform_.synthesise_add(values + 2 * c, stride, overlap.at(start));
    }
    window_sum_.extend(missing);
    float* sum = window_sum_.at(start);
    for (int i = 0; i < spec.n_fft; ++i) sum[i] += window_squared_[static_cast<size_t>(i)];
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
  const StftSpec& spec = transform_.spec();
  if (total_ >= 0) return total_ - popped_;
  // The next frame starts here; everything before it is final.
  return std::max<int64_t>(frames_pushed_ * spec.hop - spec.n_fft / 2 - popped_, 0);
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
  const int64_t origin = -transform_.spec().n_fft / 2;
  for (FloatQueue& overlap : overlap_) overlap.clear(origin);
  window_sum_.clear(origin);
  frames_pushed_ = 0;
  popped_ = 0;
  total_ = -1;
}

}  // namespace bsm
