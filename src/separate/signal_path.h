// What offline and streaming separation share: everything around the network. Samples of the mixture go in
// and become spectrogram frames; estimates of those frames come back and become samples of every stem and of
// the rest.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "dsp/float_queue.h"
#include "separate/frame_domain.h"
#include "separate/model_impl.h"

namespace bsm {

/// Samples of larger magnitude (180 dB above full scale) count as silence like those that are not finite:
/// their energy would overflow inside the network.
inline constexpr float kLargestSample = 1e9f;

/// One signal, from its first sample to its last. Not thread-safe.
class SignalPath {
 public:
  /// `channels` of the mixture: those of the model, or 1 for any model (the mono signal then takes the place
  /// of every channel, and the mean over the channels of an estimate is the mono stem). Throws
  /// Error(kSettings).
  /// @param model  must outlive this
  SignalPath(const Model::Impl& model, int channels);
  SignalPath(const SignalPath&) = delete;
  SignalPath& operator=(const SignalPath&) = delete;

  int channels() const { return channels_; }
  int stems() const { return stems_; }

  /// Makes room for samples that lie between what is pushed and what is popped.
  void reserve(int64_t samples) {
    for (FloatQueue& channel : mixture_) channel.reserve(samples);
  }
  void push_planar(const float* const* planar, int64_t samples);
  void push_interleaved(const float* interleaved, int64_t samples);
  /// Ends the mixture; its last frames become ready.
  void finish_input();
  bool input_finished() const { return input_finished_; }
  int64_t samples_pushed() const { return mixture_.front().end(); }

  /// Frames [0, frames_ready()) of the mixture are known. They are computed when they are asked for: many at
  /// once are faster.
  int64_t frames_ready() const { return domain_->frames_ready(); }
  /// The frames [begin, end) of the mixture, [end - begin, F] on the model's device. Only frames not dropped
  /// yet. In the model's turn.
  torch::Tensor frames(int64_t begin, int64_t end);
  void drop_frames_before(int64_t t);

  /// The next frames of the estimates: [S, count, F] on the model's device. In the model's turn. Throws
  /// Error(kFailed) for values that are not finite.
  void push_estimates(const torch::Tensor& estimates) { domain_->push_estimates(estimates); }
  /// After the last estimate: all samples become available.
  void finish_output() { domain_->finish_output(); }

  /// Samples that can be popped.
  int64_t available() const { return domain_->available(); }
  /// Pops up to `max_samples` samples (at most kBlock_samples) of all stems and the rest, and returns how
  /// many; outputs()[stem][channel] points to them until the next call. Rest = mixture - stems, in float, in
  /// the order of the stems.
  int64_t pop(int64_t max_samples);
  const float* const* const* outputs() const { return output_pointers_.data(); }

  void reset();

  static constexpr int64_t kBlock_samples = 4096;

 private:
  /// Appends to each channel of the mixture what copy(channel, count, out) writes.
  template <typename Copy>
  void append(int64_t samples, const Copy& copy);
  float* output_channel(int output, int channel) {
    return output_block_.data() + (output * channels_ + channel) * kBlock_samples;
  }

  const int channels_;
  const int model_channels_;
  const int stems_;
  std::vector<FloatQueue> mixture_;  // [channels] from the last sample popped on
  std::unique_ptr<FrameDomain> domain_;
  torch::Tensor frames_;      // [n, F] on the model's device, from frame frames_begin_ on
  int64_t frames_begin_ = 0;  // frames_ has every frame from there that was asked for
  int64_t popped_ = 0;
  bool input_finished_ = false;

  std::vector<float> estimate_block_;  // [stems][model channels][kBlock_samples]
  std::vector<float> output_block_;    // [stems + 1][channels][kBlock_samples]
  std::vector<const float*> channel_pointers_;
  std::vector<const float* const*> output_pointers_;
  std::vector<float*> estimate_pointers_;  // [stems * model channels]
};

}  // namespace bsm
