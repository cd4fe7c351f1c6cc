// The device that a training runs on.
#pragma once

#include <torch/types.h>

#include <string>

namespace bsm {

/// auto (the first GPU if there is one), cpu, cuda, cuda:N. Throws Error: kSettings (unknown), kNotFound (no
/// such GPU).
torch::Device choose_device(const std::string& name);

}  // namespace bsm
