// The transforms of stft.h on a signal that arrives and leaves in pieces of any size, on one frame grid per
// signal: the concatenated frames (samples) equal stft() (istft()) of the whole signal to the last bit.
#pragma once

#include <cstdint>
#include <vector>

#include "dsp/float_queue.h"
#include "dsp/stft.h"

namespace bsm {

/// Samples in, spectrogram frames out. Not thread-safe. No allocation after the first pushes of the largest
/// size.
class StftStream {
 public:
  /// Throws Error(kSettings) for sizes that FrameTransform refuses.
  StftStream(const StftSpec& spec, int channels);

  /// Appends planar samples: `channels` pointers to `frames` samples.
  void push(const float* const* planar, int64_t frames);
  /// Ends the signal: the frames that reflect at its end become available. Then only pop_frames() and
  /// reset().
  void finish();
  /// Frames that are complete and not yet popped.
  int64_t available() const;
  /// Writes up to `max_frames` frames ([frames][bins][channels][2]) to `out`, returns how many.
  int64_t pop_frames(float* out, int64_t max_frames);
  /// Back to the start of a new signal.
  void reset();
  int64_t samples_pushed() const { return samples_pushed_; }
  int64_t frames_popped() const { return next_frame_; }

 private:
  /// Copies the n_fft samples around frame `t`, mirrored at the ends of the signal, to edge_.
  void gather_edge(int channel, int64_t t);

  FrameTransform transform_;
  int channels_;
  std::vector<FloatQueue> history_;  // per channel: the samples that frames to come still touch
  std::vector<float> edge_;          // [n_fft] one frame at either end of the signal
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
  /// Samples that no frame covers are 0. Throws Error(kSettings) when more were popped already.
  void finish(int64_t total_samples);
  /// Samples per channel that are final and not yet popped.
  int64_t available() const;
  /// Writes up to `max_samples` samples to each of the `channels` pointers, returns how many.
  int64_t pop(float* const* planar, int64_t max_samples);
  void reset();

 private:
  FrameTransform transform_;
  int channels_;
  std::vector<FloatQueue> overlap_;    // per channel: unfinished sums from sample popped_ on
  FloatQueue window_sum_;              // summed squared window over the same samples
  std::vector<float> window_squared_;  // [n_fft]
  int64_t frames_pushed_ = 0;
  int64_t popped_ = 0;
  int64_t total_ = -1;
};

}  // namespace bsm
