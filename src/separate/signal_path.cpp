#include "separate/signal_path.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "core/error.h"
#include "nn/cpu/team.h"
#include "nn/stages.h"
#include "separate/cpu_threads.h"

namespace bsm {
namespace {

constexpr int kMaxChannels = 8;

// False for NaN as well.
float audible(float sample) { return std::abs(sample) <= kLargestSample ? sample : 0.0f; }

ForEach on_team(int threads) {
  if (threads <= 1) return {};
  return [threads](int64_t count, const std::function<void(int64_t)>& body) {
    const CpuThreadScope scope(threads);
    for_each_on_team(count, body);
  };
}

}  // namespace

SignalPath::SignalPath(const ModelConfig& config, int channels, int threads)
    : channels_(channels),
      model_channels_(config.channels),
      frame_size_(int64_t{2} * config.channels * config.stft.bins()),
      analysis_(config.stft, config.channels, on_team(threads), threads),
      mixture_(static_cast<size_t>(std::max(channels, 1))) {
  if (config.channels > kMaxChannels || config.stems.empty())
    throw Error(ErrorCode::kSettings, "The model has " + std::to_string(config.channels) + " channels and " +
                                          std::to_string(config.stems.size()) +
                                          " stems; expected 1 to 8 channels and at least one stem.");
  if (channels != 1 && channels != config.channels)
    throw Error(ErrorCode::kSettings, "The model takes " + std::to_string(config.channels) +
                                          " channels or mono, but the signal has " +
                                          std::to_string(channels) + " channels; convert the signal.");
  for (size_t s = 0; s < config.stems.size(); ++s)
    synthesis_.emplace_back(config.stft, config.channels, on_team(threads), threads);

  const size_t outputs = config.stems.size() + 1;
  mixture_block_.resize(static_cast<size_t>(channels) * kBlock_samples);
  estimate_block_.resize(static_cast<size_t>(config.channels) * kBlock_samples);
  output_block_.resize(outputs * static_cast<size_t>(channels) * kBlock_samples);
  for (size_t row = 0; row < outputs * static_cast<size_t>(channels); ++row)
    channel_pointers_.push_back(output_block_.data() + row * kBlock_samples);
  for (size_t output = 0; output < outputs; ++output)
    output_pointers_.push_back(channel_pointers_.data() + output * static_cast<size_t>(channels));
}

void SignalPath::push_planar(const float* const* planar, int64_t samples) {
  for (int64_t begin = 0; begin < samples; begin += kBlock_samples) {
    const int64_t count = std::min(kBlock_samples, samples - begin);
    for (int c = 0; c < channels_; ++c)
      std::transform(planar[c] + begin, planar[c] + begin + count, mixture_channel(c), audible);
    push_block(count);
  }
}

void SignalPath::push_interleaved(const float* interleaved, int64_t samples) {
  for (int64_t begin = 0; begin < samples; begin += kBlock_samples) {
    const int64_t count = std::min(kBlock_samples, samples - begin);
    for (int c = 0; c < channels_; ++c)
      for (int64_t i = 0; i < count; ++i)
        mixture_channel(c)[i] = audible(interleaved[(begin + i) * channels_ + c]);
    push_block(count);
  }
}

void SignalPath::push_block(int64_t samples) {
  std::array<const float*, kMaxChannels> planar;
  for (int c = 0; c < model_channels_; ++c)
    planar[static_cast<size_t>(c)] = mixture_channel(channels_ == 1 ? 0 : c);
  for (int c = 0; c < channels_; ++c) mixture_[static_cast<size_t>(c)].append(mixture_channel(c), samples);
  analysis_.push(planar.data(), samples);
}

void SignalPath::take_frames() {
  const int64_t end = frames_.end(), count = analysis_.available();
  if (count == 0) return;
  frames_.extend(count * frame_size_);
  analysis_.pop_frames(frames_.at(end), count);
  stage_done(Stage::kStft);
}

void SignalPath::finish_input() {
  input_finished_ = true;
  analysis_.finish();
}

void SignalPath::push_estimates(const float* stems, int64_t stem_stride, int64_t count) {
  for (size_t s = 0; s < synthesis_.size(); ++s)
    synthesis_[s].push_frames(stems + static_cast<int64_t>(s) * stem_stride, count);
  stage_done(Stage::kIstft);
}

void SignalPath::finish_output() {
  for (IstftStream& stem : synthesis_) stem.finish(samples_pushed());
}

int64_t SignalPath::pop(int64_t max_samples) {
  const int64_t count = std::min({available(), max_samples, kBlock_samples});
  if (count <= 0) return 0;
  const int rest = stems();
  for (int c = 0; c < channels_; ++c)
    std::copy_n(mixture_[static_cast<size_t>(c)].at(popped_), count, output_channel(rest, c));

  std::array<float*, kMaxChannels> planar;
  for (int c = 0; c < model_channels_; ++c)
    planar[static_cast<size_t>(c)] = estimate_block_.data() + c * kBlock_samples;
  for (int s = 0; s < rest; ++s) {
    synthesis_[static_cast<size_t>(s)].pop(planar.data(), count);
    for (int c = 0; c < channels_; ++c) {
      float* stem = output_channel(s, c);
      std::copy_n(planar[static_cast<size_t>(c)], count, stem);
      if (channels_ < model_channels_) {
        for (int m = 1; m < model_channels_; ++m)
          for (int64_t i = 0; i < count; ++i) stem[i] += planar[static_cast<size_t>(m)][i];
        for (int64_t i = 0; i < count; ++i) stem[i] /= static_cast<float>(model_channels_);
      }
      float* remaining = output_channel(rest, c);
      for (int64_t i = 0; i < count; ++i) remaining[i] -= stem[i];
    }
  }
  popped_ += count;
  for (FloatQueue& channel : mixture_) channel.drop_before(popped_);
  stage_done(Stage::kIstft);
  return count;
}

void SignalPath::reset() {
  analysis_.reset();
  for (IstftStream& stem : synthesis_) stem.reset();
  frames_.clear();
  for (FloatQueue& channel : mixture_) channel.clear();
  popped_ = 0;
  input_finished_ = false;
}

}  // namespace bsm
