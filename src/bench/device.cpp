#include "bench/device.h"

#include <torch/cuda.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "bench/cuda_probe.h"

namespace bsm {
namespace {

/// The host's clock; on a GPU without events each mark first waits for the device.
class HostClock : public DeviceClock {
 public:
  explicit HostClock(const BenchDevice& device) : device_(device) {}

  void mark() override {
    device_.synchronize();
    marks_.push_back(std::chrono::steady_clock::now());
  }

  std::vector<double> intervals_ms() override {
    std::vector<double> intervals;
    for (size_t i = 1; i < marks_.size(); ++i)
      intervals.push_back(std::chrono::duration<double, std::milli>(marks_[i] - marks_[i - 1]).count());
    return intervals;
  }

 private:
  BenchDevice device_;
  std::vector<std::chrono::steady_clock::time_point> marks_;
};

/// The value of "key : value" in a file of such lines (/proc); empty when there is none.
std::string value_in(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

}  // namespace

std::string BenchDevice::name() const {
  if (on_gpu()) return cuda_device_name(device_.index());
  const std::string model = value_in("/proc/cpuinfo", "model name");
  return model.empty() ? "CPU" : model;
}

void BenchDevice::synchronize() const {
  if (on_gpu()) torch::cuda::synchronize(device_.index());
}

std::unique_ptr<DeviceClock> BenchDevice::make_clock() const {
  if (on_gpu())
    if (auto clock = make_cuda_clock()) return clock;
  return std::make_unique<HostClock>(*this);
}

void BenchDevice::start_memory_record() const {
  if (on_gpu()) {
    reset_cuda_memory_peaks(device_.index());
  } else {
    std::ofstream("/proc/self/clear_refs") << "5";  // VmHWM becomes the present size
  }
}

PeakMemory BenchDevice::peak_memory() const {
  if (on_gpu()) return cuda_memory_peaks(device_.index());
  PeakMemory peak;
  std::istringstream kilobytes(value_in("/proc/self/status", "VmHWM"));
  int64_t kB = 0;
  if (kilobytes >> kB) peak.resident = kB * 1024;
  return peak;
}

}  // namespace bsm
