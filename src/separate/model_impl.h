// The LibTorch side of Model, for the separators only.
#pragma once

#include <torch/types.h>

#include "nn/cuda/network_graphs.h"
#include "nn/network.h"
#include "separate/device_turn.h"
#include "separate/model.h"

namespace bsm {

struct Model::Impl {
  SeparationNetwork network{nullptr};
  torch::Device device{torch::kCPU};
  std::string device_name;
  Precision precision = Precision::kFp32;
  int threads = 0;
  int64_t parameters = 0;
  /// One network call at a time on a device: models and streams take turns.
  FairMutex& turn() const { return device_turn(device_name); }

  /// The network on frames on its device: what runs is recorded on a GPU (see NetworkGraphs).
  torch::Tensor forward(const torch::Tensor& frames, NetworkState* state = nullptr, int64_t state_frames = 0,
                        FrameRange wanted = {});

  /// Masked stems: frames [B, T, F] float32 on the CPU -> [B, S, wanted frames, F] float32 on the CPU,
  /// contiguous. Sets this thread's LibTorch guards (no gradients, threads, denormals flushed). Throws
  /// Error(kOutOfMemory), Error(kDevice), and Error(kFailed) also for results that are not finite. After an
  /// error the state is unusable.
  torch::Tensor separate(const torch::Tensor& frames, NetworkState* state = nullptr, int64_t state_frames = 0,
                         FrameRange wanted = {});

 private:
  std::unique_ptr<NetworkGraphs> graphs_;
};

/// Inside a catch block: throws what is being handled as bsm::Error (memory that ran out as kOutOfMemory, a
/// failing GPU as kDevice, other foreign exceptions as kFailed with the first line of their message). `doing`
/// completes "while ...".
[[noreturn]] void rethrow_translated(const std::string& doing);

template <typename Work>
void translate_errors(const std::string& doing, Work&& work) {
  try {
    work();
  } catch (...) {
    rethrow_translated(doing);
  }
}

}  // namespace bsm
