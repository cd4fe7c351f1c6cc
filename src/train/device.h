// The device that a training runs on.
#pragma once

#include <torch/types.h>

#include <string>

namespace bsm {

/// auto (a GPU if there is one), cpu, cuda, cuda:N; of `count` processes, number `rank` gets GPU `rank`.
/// Throws Error: kSettings (unknown, or one GPU for several processes), kNotFound (no such GPU, fewer GPUs
/// than processes).
torch::Device choose_device(const std::string& name, int rank = 0, int count = 1);

}  // namespace bsm
