// The LibTorch side of Model, for the separators only.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>

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
  bool stft_on_device = false;  ///< in LibTorch operators (see FrameDomain): on every GPU
  /// One network call at a time on a device: models and streams take turns.
  FairMutex& turn() const { return device_turn(device_name); }

  /// Runs `work` in this model's turn, with the LibTorch guards of this thread set (no gradients, threads,
  /// denormals flushed): everything that computes on the device runs in this. Throws Error(kOutOfMemory),
  /// Error(kDevice), Error(kFailed), and what `work` throws of class Error.
  void in_turn(const std::function<void()>& work) const;

  /// The network on frames on its device: what runs is recorded on a GPU (see NetworkGraphs).
  torch::Tensor forward(const torch::Tensor& frames, NetworkState* state = nullptr, int64_t state_frames = 0,
                        FrameRange wanted = {});

  /// Masked stems: frames [B, T, F] float32 -> [B, S, wanted frames, F] float32, contiguous, both on the
  /// device. In the model's turn. Throws Error(kFailed) when results on a CPU are not finite; a GPU is not
  /// waited for. After an error the state is unusable.
  torch::Tensor separate(const torch::Tensor& frames, NetworkState* state = nullptr, int64_t state_frames = 0,
                         FrameRange wanted = {});

  /// Throws Error(kFailed): results are not finite.
  [[noreturn]] void throw_not_finite() const;

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
