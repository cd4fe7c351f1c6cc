// The LibTorch side of Model, for the separators only.
#pragma once

#include <torch/types.h>

#include <mutex>

#include "nn/network.h"
#include "separate/model.h"

namespace bsm {

struct Model::Impl {
  SeparationNetwork network{nullptr};
  torch::Device device{torch::kCPU};
  std::string device_name;
  Precision precision = Precision::kFp32;
  int threads = 0;
  int64_t parameters = 0;
  std::mutex mutex;  ///< one network call at a time: streams take turns

  /// Masked stems: frames [B, T, F] float32 on the CPU -> [B, S, T, F] float32 on the CPU, contiguous. Sets this thread's
  /// LibTorch guards (no gradients, threads, denormals flushed). Throws Error(kOutOfMemory), Error(kFailed).
  torch::Tensor separate(const torch::Tensor& frames, NetworkState* state = nullptr, int64_t state_frames = 0);
};

}  // namespace bsm
