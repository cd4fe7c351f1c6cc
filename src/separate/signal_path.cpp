#include "separate/signal_path.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "nn/stages.h"

namespace bsm {
namespace {

// False for NaN as well.
float audible(float sample) { return std::abs(sample) <= kLargestSample ? sample : 0.0f; }

}  // namespace

SignalPath::SignalPath(const Model::Impl& model, int channels)
    : channels_(channels),
      model_channels_(model.network->config().channels),
      stems_(static_cast<int>(model.network->config().stems.size())),
      mixture_(static_cast<size_t>(std::max(channels, 1))) {
  if (stems_ == 0) throw Error(ErrorCode::kSettings, "The model has no stems; expected at least one.");
  if (channels != 1 && channels != model_channels_)
    throw Error(ErrorCode::kSettings, "The model takes " + std::to_string(model_channels_) +
                                          " channels or mono, but the signal has " +
                                          std::to_string(channels) + " channels; convert the signal.");
  domain_ = model.stft_on_device ? make_device_frames(model, mixture_) : make_host_frames(model, mixture_);

  const size_t rows = static_cast<size_t>(stems_ + 1) * static_cast<size_t>(channels);
  output_block_.resize(rows * kBlock_samples);
  for (size_t row = 0; row < rows; ++row)
    channel_pointers_.push_back(output_block_.data() + row * kBlock_samples);
  for (int output = 0; output <= stems_; ++output)
    output_pointers_.push_back(channel_pointers_.data() + output * channels);

  // Estimates of as many channels as the signal has go to their place at once.
  const bool in_place = channels == model_channels_;
  const size_t estimate_rows = static_cast<size_t>(stems_) * static_cast<size_t>(model_channels_);
  if (!in_place) estimate_block_.resize(estimate_rows * kBlock_samples);
  for (size_t row = 0; row < estimate_rows; ++row)
    estimate_pointers_.push_back((in_place ? output_block_ : estimate_block_).data() + row * kBlock_samples);
}

template <typename Copy>
void SignalPath::append(int64_t samples, const Copy& copy) {
  for (int c = 0; c < channels_; ++c) {
    FloatQueue& channel = mixture_[static_cast<size_t>(c)];
    const int64_t begin = channel.end();
    channel.extend(samples);
    copy(c, channel.at(begin));
  }
  domain_->samples_appended(samples);
}

void SignalPath::push_planar(const float* const* planar, int64_t samples) {
  append(samples, [&](int c, float* out) { std::transform(planar[c], planar[c] + samples, out, audible); });
}

void SignalPath::push_interleaved(const float* interleaved, int64_t samples) {
  append(samples, [&](int c, float* out) {
    for (int64_t i = 0; i < samples; ++i) out[i] = audible(interleaved[i * channels_ + c]);
  });
}

void SignalPath::finish_input() {
  input_finished_ = true;
  domain_->finish_input();
}

torch::Tensor SignalPath::frames(int64_t begin, int64_t end) {
  const int64_t have = frames_.defined() ? frames_.size(0) : 0;
  const int64_t missing = end - frames_begin_ - have;
  if (missing > 0) {
    const torch::Tensor fresh = domain_->take_frames(missing);
    frames_ = have > 0 ? torch::cat({frames_, fresh}) : fresh;
    stage_done(Stage::kStft);
  }
  return frames_.slice(0, begin - frames_begin_, end - frames_begin_);
}

void SignalPath::drop_frames_before(int64_t t) {
  if (t <= frames_begin_) return;
  const int64_t left = frames_begin_ + frames_.size(0) - t;
  frames_ = left > 0 ? frames_.slice(0, t - frames_begin_) : torch::Tensor();
  frames_begin_ = t;
}

int64_t SignalPath::pop(int64_t max_samples) {
  const int64_t count = std::min({available(), max_samples, kBlock_samples});
  if (count <= 0) return 0;
  domain_->pop(estimate_pointers_.data(), count);
  for (int c = 0; c < channels_; ++c) {
    float* rest = output_channel(stems_, c);
    std::copy_n(mixture_[static_cast<size_t>(c)].at(popped_), count, rest);
    for (int s = 0; s < stems_; ++s) {
      float* stem = output_channel(s, c);
      if (channels_ < model_channels_) {
        float* const* estimates = estimate_pointers_.data() + s * model_channels_;
        std::copy_n(estimates[0], count, stem);
        for (int m = 1; m < model_channels_; ++m)
          for (int64_t i = 0; i < count; ++i) stem[i] += estimates[m][i];
        for (int64_t i = 0; i < count; ++i) stem[i] /= static_cast<float>(model_channels_);
      }
      for (int64_t i = 0; i < count; ++i) rest[i] -= stem[i];
    }
  }
  popped_ += count;
  // One sample more than to pop: the last frame may mirror as far back as that.
  for (FloatQueue& channel : mixture_) channel.drop_before(popped_ - 1);
  stage_done(domain_->pop_stage());
  return count;
}

void SignalPath::reset() {
  for (FloatQueue& channel : mixture_) channel.clear();
  domain_->reset();
  frames_ = torch::Tensor();
  frames_begin_ = 0;
  popped_ = 0;
  input_finished_ = false;
}

}  // namespace bsm
