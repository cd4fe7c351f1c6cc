// What LibTorch holds of a GPU's memory. Only CUDA's headers tell: device_memory.cpp is built where the CUDA
// kernels are, device_memory_absent.cpp, which answers with zeros, elsewhere.
#pragma once

#include <c10/core/Device.h>

#include "separate/model.h"

namespace bsm {

/// Zeros on a CPU.
DeviceMemory memory_held_on(const c10::Device& device);

}  // namespace bsm
