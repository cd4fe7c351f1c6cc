// The transforms of stft.h on a signal that arrives and leaves in pieces of any size, on one frame grid per
// signal: the concatenated frames (samples) equal stft() (istft()) of the whole signal to the last bit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/for_each.h"
#include "dsp/float_queue.h"
#include "dsp/stft.h"

namespace bsm {

/// Frames that are complete after the first `samples` samples of a signal that goes on: frame 0 mirrors up to
/// sample n_fft / 2, every later frame ends n_fft / 2 samples after its centre.
inline int64_t complete_frames(const StftSpec& spec, int64_t samples) {
  return samples < shortest_mirrored_samples(spec) ? 0 : (samples - spec.n_fft / 2) / spec.hop + 1;
}

/// Samples that are final after the first `frames` frames: the next one starts behind them.
inline int64_t final_samples(const StftSpec& spec, int64_t frames) {
  return std::max<int64_t>(frames * spec.hop - spec.n_fft / 2, 0);
}

/// Transforms of many frames, spread over threads: part i has a transform and scratch memory of its own.
struct FrameParts {
  /// Frames of a part at least: fewer are not worth another thread.
  static constexpr int64_t kLeastFrames = 4;

  struct Part {
    FrameTransform transform;
    std::vector<float> samples;  // [n_fft]
  };
  std::vector<Part> parts;
  ForEach for_each;

  /// `threads` that for_each uses at most; without for_each, the calling one does all.
  FrameParts(const StftSpec& spec, ForEach for_each, int threads);
  const StftSpec& spec() const { return parts.front().transform.spec(); }
  /// Calls body(part, frame) for each frame < count.
  template <typename Body>
  void run(int64_t count, const Body& body) {
    const int64_t used = std::clamp<int64_t>(count / kLeastFrames, 1, static_cast<int64_t>(parts.size()));
    const auto run_part = [&](int64_t i) {
      for (int64_t frame = i * count / used; frame < (i + 1) * count / used; ++frame)
        body(parts[static_cast<size_t>(i)], frame);
    };
    if (used == 1) {
      run_part(0);
    } else {
      for_each(used, run_part);
    }
  }
};

/// Samples in, spectrogram frames out. Not thread-safe. No allocation after the first pushes of the largest
/// size.
class StftStream {
 public:
  /// @param for_each, threads  who transforms; by default the calling thread alone
  /// Throws Error(kSettings) for sizes that FrameTransform refuses.
  StftStream(const StftSpec& spec, int channels, ForEach for_each = {}, int threads = 1);

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
  /// Copies the n_fft samples around frame `t`, mirrored at the ends of the signal, to `edge`.
  void gather_edge(int channel, int64_t t, std::vector<float>& edge) const;

  FrameParts parts_;
  int channels_;
  std::vector<FloatQueue> history_;  // per channel: the samples that frames to come still touch
  int64_t samples_pushed_ = 0;
  int64_t next_frame_ = 0;
  bool finished_ = false;
};

/// Spectrogram frames in, samples out. Sample s is final once every frame that touches it was pushed.
class IstftStream {
 public:
  /// As StftStream.
  IstftStream(const StftSpec& spec, int channels, ForEach for_each = {}, int threads = 1);

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
  /// Frames whose windowed samples are held before they are added.
  int64_t most_at_once() const {
    return static_cast<int64_t>(parts_.parts.size()) * FrameParts::kLeastFrames;
  }

  FrameParts parts_;
  int channels_;
  std::vector<float> windowed_;        // [most_at_once()][channels][n_fft]
  std::vector<FloatQueue> overlap_;    // per channel: unfinished sums from sample popped_ on
  FloatQueue window_sum_;              // summed squared window over the same samples
  std::vector<float> window_squared_;  // [n_fft]
  int64_t frames_pushed_ = 0;
  int64_t popped_ = 0;
  int64_t total_ = -1;
};

}  // namespace bsm
