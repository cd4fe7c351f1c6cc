// The transforms of stft.h on a signal that arrives and leaves in pieces of any size, on one frame grid per
// signal: the concatenated frames (samples) equal stft() (istft()) of the whole signal to the last bit.
#pragma once

#include <cstdint>
#include <vector>

#include "dsp/stft.h"

namespace bsm {

/// Samples in, spectrogram frames out. Not thread-safe. No allocation after the first pushes of the largest size.
class StftStream {
 public:
  StftStream(const StftSpec& spec, int channels);

  /// Appends planar samples: `channels` pointers to `frames` samples.
  void push(const float* const* planar, int64_t frames);
  /// Ends the signal: the frames that reflect at its end become available. Then only pop_frames() and reset().
  void finish();
  /// Frames that are complete and not yet popped.
  int64_t available() const;
  /// Writes up to `max_frames` frames ([frames][bins][channels][2]) to `out`, returns how many.
  int64_t pop_frames(float* out, int64_t max_frames);
  /// Back to the start of a new signal.
  void reset();
  int64_t samples_pushed() const { return samples_pushed_; }

 private:
  FrameTransform transform_;
  int channels_;
  std::vector<std::vector<float>> history_;  // per channel: samples from history_start_ on
  int64_t history_start_ = 0;
  int64_t samples_pushed_ = 0;
  int64_t next_frame_ = 0;
  bool finished_ = false;
};

/// Spectrogram frames in, samples out. Sample s is final once every frame that touches it was pushed.
class IstftStream {
 public:
  IstftStream(const StftSpec& spec, int channels);

  /// Appends `frames` frames, layout [frames][bins][channels][2].
  void push_frames(const float* values, int64_t frames);
  /// Ends the signal at `total_samples` samples: everything up to there becomes available.
  void finish(int64_t total_samples);
  /// Samples per channel that are final and not yet popped.
  int64_t available() const;
  /// Writes up to `max_samples` samples to each of the `channels` pointers, returns how many.
  int64_t pop(float* const* planar, int64_t max_samples);
  void reset();

 private:
  FrameTransform transform_;
  int channels_;
  std::vector<std::vector<float>> overlap_;  // per channel: unfinished sums from sample popped_ on
  std::vector<float> window_sum_;            // summed squared window over the same samples
  int64_t frames_pushed_ = 0;
  int64_t popped_ = 0;
  int64_t total_ = -1;
};

}  // namespace bsm
