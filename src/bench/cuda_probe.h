// What only the CUDA headers tell: built where the CUDA kernels are (cuda_probe.cpp), else the answers are
// "unknown" (cuda_probe_absent.cpp).
#pragma once

#include <memory>
#include <string>

#include "bench/device.h"

namespace bsm {

/// Marks are events on LibTorch's current stream. Null: unknown.
std::unique_ptr<DeviceClock> make_cuda_clock();
std::string cuda_device_name(int index);
void reset_cuda_memory_peaks(int index);
PeakMemory cuda_memory_peaks(int index);

}  // namespace bsm
