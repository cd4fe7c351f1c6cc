#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "bench/cuda_probe.h"

namespace bsm {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

class CudaClock : public DeviceClock {
 public:
  CudaClock() = default;
  CudaClock(const CudaClock&) = delete;
  CudaClock& operator=(const CudaClock&) = delete;
  ~CudaClock() override {
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
  }

  void mark() override {
    cudaEvent_t event = nullptr;
    C10_CUDA_CHECK(cudaEventCreate(&event));
    events_.push_back(event);
    C10_CUDA_CHECK(cudaEventRecord(event, c10::cuda::getCurrentCUDAStream()));
  }

  std::vector<double> intervals_ms() override {
    std::vector<double> intervals;
    if (events_.empty()) return intervals;
    C10_CUDA_CHECK(cudaEventSynchronize(events_.back()));
    for (size_t i = 1; i < events_.size(); ++i) {
      float elapsed_ms = 0;
      C10_CUDA_CHECK(cudaEventElapsedTime(&elapsed_ms, events_[i - 1], events_[i]));
      intervals.push_back(elapsed_ms);
    }
    return intervals;
  }

 private:
  std::vector<cudaEvent_t> events_;
};

}  // namespace

std::unique_ptr<DeviceClock> make_cuda_clock() { return std::make_unique<CudaClock>(); }

std::string cuda_device_name(int index) {
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
  return properties.name;
}

void reset_cuda_memory_peaks(int index) {
  allocator::emptyCache();
  allocator::resetPeakStats(static_cast<c10::DeviceIndex>(index));
}

PeakMemory cuda_memory_peaks(int index) {
  const auto stats = allocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
  constexpr size_t kAllPools =
      0;  // StatType::AGGREGATE, whose namespace differs between versions of LibTorch
  return {stats.allocated_bytes[kAllPools].peak, stats.reserved_bytes[kAllPools].peak, std::nullopt};
}

}  // namespace bsm
