#include "bench/cuda_probe.h"

namespace bsm {

std::unique_ptr<DeviceClock> make_cuda_clock() { return nullptr; }
std::string cuda_device_name(int index) { return "CUDA device " + std::to_string(index); }
void reset_cuda_memory_peaks(int) {}
PeakMemory cuda_memory_peaks(int) { return {}; }

}  // namespace bsm
