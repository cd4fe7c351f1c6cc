// What offline and streaming separation share: everything around the network. Samples of the mixture go in
// and become spectrogram frames; estimates of those frames come back and become samples of every stem and of
// the rest.
#pragma once

#include <cstdint>
#include <vector>

#include "dsp/float_queue.h"
#include "dsp/stft_stream.h"
#include "nn/config.h"

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
  /// @param threads  CPU threads for the transforms; they are the team's (nn/cpu/team.h)
  SignalPath(const ModelConfig& config, int channels, int threads);

  int channels() const { return channels_; }
  int stems() const { return static_cast<int>(synthesis_.size()); }
  /// F, reals per frame.
  int64_t frame_size() const { return frame_size_; }

  void push_planar(const float* const* planar, int64_t samples);
  void push_interleaved(const float* interleaved, int64_t samples);
  /// Ends the mixture; its last frames become ready.
  void finish_input();
  bool input_finished() const { return input_finished_; }
  int64_t samples_pushed() const { return analysis_.samples_pushed(); }

  /// Frames [0, frames_ready()) of the mixture are known. They are computed when one is asked for: many at
  /// once are spread over threads.
  int64_t frames_ready() const { return frames_.end() / frame_size_ + analysis_.available(); }
  /// Frame t of the mixture, [F], followed by the frames after it up to frames_ready(). Only frames not
  /// dropped yet.
  float* frame(int64_t t) {
    take_frames();
    return frames_.at(t * frame_size_);
  }
  void drop_frames_before(int64_t t) { frames_.drop_before(t * frame_size_); }

  /// The next `count` frames of the estimates: stem s at stems[s * stem_stride], [count][F].
  void push_estimates(const float* stems, int64_t stem_stride, int64_t count);
  /// After the last estimate: all samples become available.
  void finish_output();

  /// Samples that can be popped.
  int64_t available() const { return synthesis_.front().available(); }
  /// Pops up to `max_samples` samples (at most kBlock_samples) of all stems and the rest, and returns how
  /// many; outputs()[stem][channel] points to them until the next call. Rest = mixture - stems, in float, in
  /// the order of the stems.
  int64_t pop(int64_t max_samples);
  const float* const* const* outputs() const { return output_pointers_.data(); }

  void reset();

  static constexpr int64_t kBlock_samples = 4096;

 private:
  /// Takes at most kBlock_samples samples that lie in mixture_block_.
  void push_block(int64_t samples);
  void take_frames();
  float* mixture_channel(int channel) { return mixture_block_.data() + channel * kBlock_samples; }
  float* output_channel(int output, int channel) {
    return output_block_.data() + (output * channels_ + channel) * kBlock_samples;
  }

  int channels_;
  int model_channels_;
  int64_t frame_size_;
  StftStream analysis_;
  std::vector<IstftStream> synthesis_;  // [stems]
  FloatQueue frames_;                   // [frames][F]
  std::vector<FloatQueue> mixture_;     // [channels] from the next sample to pop on
  int64_t popped_ = 0;
  bool input_finished_ = false;

  std::vector<float> mixture_block_;   // [channels][kBlock_samples]
  std::vector<float> estimate_block_;  // [model channels][kBlock_samples]
  std::vector<float> output_block_;    // [stems + 1][channels][kBlock_samples]
  std::vector<const float*> channel_pointers_;
  std::vector<const float* const*> output_pointers_;
};

}  // namespace bsm
