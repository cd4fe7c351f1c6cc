// The processes of a data parallel training: the same network in each, gradients averaged by one collective
// operation of LibTorch's c10d a step (NCCL between GPUs, gloo between CPUs).
#pragma once

#include <torch/types.h>

#include <memory>

#include "train/rank_link.h"

namespace bsm {

class Ranks {
 public:
  /// Joins the others; returns when all have come. Alone (count 1) nothing happens here nor in what follows.
  /// Throws Error: kLibrary (this build has no backend for the device), kFailed (no connection).
  Ranks(const RankLink& link, const torch::Device& device);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  /// Replaces a tensor on the device by its mean over all processes. On a GPU this is queued, like a kernel.
  void average(const torch::Tensor& tensor);
  /// Replaces it by the first process's.
  void copy_from_first(const torch::Tensor& tensor);
  /// At the end, all together: without it a process that ends first looks like one that died.
  void leave();

 private:
  struct Group;
  std::unique_ptr<Group> group_;
  int count_;
};

}  // namespace bsm
