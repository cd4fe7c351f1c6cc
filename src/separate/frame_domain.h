// The two changes of domain around the network, on the device where it runs: samples of the mixture to
// frames, frames of the estimates to samples. On a CPU FFTW transforms in the host's memory; on a GPU the
// transforms run there and only samples cross the bus.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "dsp/float_queue.h"
#include "nn/stages.h"
#include "separate/model_impl.h"

namespace bsm {

/// One signal. frames() and push_estimates() compute on the device: call them in the model's turn.
class FrameDomain {
 public:
  virtual ~FrameDomain() = default;

  /// `count` samples of the mixture were appended to the queues given to the constructor.
  virtual void samples_appended(int64_t count) = 0;
  /// The mixture has ended; its last frames become ready.
  virtual void finish_input() = 0;
  /// Frames [0, frames_ready()) of the mixture are known.
  virtual int64_t frames_ready() const = 0;
  /// The next `count` frames, [count, F] on the model's device. They must be ready.
  virtual torch::Tensor take_frames(int64_t count) = 0;

  /// The next frames of the estimates, [S, count, F] on the model's device, each frame in one piece. Throws
  /// Error(kFailed) when a device that Model::Impl::separate() does not wait for has made numbers that are
  /// not finite.
  virtual void push_estimates(const torch::Tensor& estimates) = 0;
  /// After the last estimate: all samples of the mixture's length become available; where no frame lies they
  /// are 0.
  virtual void finish_output() = 0;
  /// Samples that can be popped.
  virtual int64_t available() const = 0;
  /// Writes the next `count` samples, at most available(), to planar[stem * model channels + channel].
  virtual void pop(float* const* planar, int64_t count) = 0;
  /// What pop() and the copies after it count as.
  virtual Stage pop_stage() const = 0;

  virtual void reset() = 0;
};

/// @param mixture  1 queue or one per channel of the model; must outlive the result and hold the samples from
///                 the last but one that was popped on
std::unique_ptr<FrameDomain> make_host_frames(const Model::Impl& model,
                                              const std::vector<FloatQueue>& mixture);
/// Works on a CPU as well.
std::unique_ptr<FrameDomain> make_device_frames(const Model::Impl& model,
                                                const std::vector<FloatQueue>& mixture);

}  // namespace bsm
