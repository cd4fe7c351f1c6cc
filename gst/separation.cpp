#include "separation.h"

#include <algorithm>
#include <cmath>

namespace bsm {
namespace {

/// What the engine takes for a sample; beyond it counts as silence there, and hence here.
constexpr float kLargestSample = 1e9F;

}  // namespace

int64_t Separation::open(const BsmEngineApi* api, const EngineModel& model, const BsmStreamOptions& options) {
  channels_ = options.channels;
  return stream_.open(api, model, options);
}

void Separation::start(bool attached) {
  attached_ = attached;
  finished_ = false;
  mixture_.clear();
  head_ = 0;
  given_frames_ = silent_frames_ = 0;
  if (stream_.is_open()) stream_.reset();
}

void Separation::accept(const float* interleaved, int64_t frames) {
  if (head_ > mixture_.size() / 2) {
    mixture_.erase(mixture_.begin(), mixture_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  const auto count = static_cast<size_t>(floats(frames));
  const size_t begin = mixture_.size();
  mixture_.resize(begin + count);
  size_t after_last_sound = 0;
  for (size_t i = 0; i < count; ++i) {
    const float x = std::abs(interleaved[i]) <= kLargestSample ? interleaved[i] : 0.0F;
    mixture_[begin + i] = x;
    if (x != 0.0F) after_last_sound = i + 1;
  }
  const auto quiet = static_cast<int64_t>(count - after_last_sound) / channels_;
  silent_frames_ = after_last_sound == 0 ? silent_frames_ + frames : quiet;
}

void Separation::compute() {
  if (!attached_) return;
  const int64_t held = held_frames();
  const float* fresh = mixture_.data() + head_ + floats(given_frames_);
  const int64_t frames = held - given_frames_;
  given_frames_ = held;
  if (frames > 0) stream_.push(fresh, frames);
}

void Separation::finish() {
  finished_ = true;
  if (!attached_) return;
  compute();
  stream_.finish();
}

int64_t Separation::held_frames() const { return static_cast<int64_t>(mixture_.size() - head_) / channels_; }

int64_t Separation::available() {
  if (attached_) return stream_.available();
  if (finished_) return held_frames();
  // In whole hops, as the engine would give them.
  const BsmStreamInfo& stream = stream_.info();
  const int64_t overdue = held_frames() - stream.delay_samples;
  return overdue < 0 ? 0 : (overdue / stream.hop_samples + 1) * stream.hop_samples;
}

void Separation::pull(float* const* outputs, float* mixture, int64_t frames) {
  if (attached_) {
    const int64_t pulled = stream_.pull(outputs, frames);
    if (pulled != frames || frames > given_frames_)
      throw EngineError{BSM_ERROR_FAILED, "The separation engine announced " + std::to_string(frames) +
                                              " samples and gave " + std::to_string(pulled) +
                                              ". Install plugin and engine of the same version."};
  }
  const auto from = mixture_.begin() + static_cast<std::ptrdiff_t>(head_);
  std::copy_n(from, floats(frames), mixture);
  head_ += static_cast<size_t>(floats(frames));
  given_frames_ = std::max<int64_t>(given_frames_ - frames, 0);
}

void Separation::attach() {
  stream_.reset();
  attached_ = true;
  given_frames_ = 0;
}

}  // namespace bsm
