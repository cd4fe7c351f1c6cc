#include "separate/device_memory.h"

#include <c10/cuda/CUDACachingAllocator.h>

namespace bsm {

DeviceMemory memory_held_on(const c10::Device& device) {
  if (!device.is_cuda()) return {};
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  constexpr size_t kAllPools =
      0;  // StatType::AGGREGATE, whose namespace differs between versions of LibTorch
  const auto& reserved = stats.reserved_bytes[kAllPools];
  return {static_cast<uint64_t>(reserved.current), static_cast<uint64_t>(reserved.peak)};
}

}  // namespace bsm
