// A device as a benchmark sees it: its name, its clock, its memory.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bsm {

/// Largest amounts since the record was started, in bytes; empty where they cannot be known.
struct PeakMemory {
  std::optional<int64_t> allocated;  ///< GPU: by tensors
  std::optional<int64_t> reserved;   ///< GPU: by LibTorch's allocator, tensors included
  std::optional<int64_t> resident;   ///< CPU: of the whole process
};

/// Points in time as the device passes them (on a GPU: when all work given to it before is done).
class DeviceClock {
 public:
  virtual ~DeviceClock() = default;
  virtual void mark() = 0;
  /// Waits for the last mark; milliseconds between neighbouring marks (one less than marks).
  virtual std::vector<double> intervals_ms() = 0;
};

class BenchDevice {
 public:
  explicit BenchDevice(const c10::Device& device) : device_(device) {}

  const c10::Device& device() const { return device_; }
  bool on_gpu() const { return !device_.is_cpu(); }
  /// "AMD EPYC 7B13", "NVIDIA H200"
  std::string name() const;
  /// Waits until the device has done all it was given.
  void synchronize() const;
  std::unique_ptr<DeviceClock> make_clock() const;
  /// Gives cached memory back and starts a new record of peaks.
  void start_memory_record() const;
  PeakMemory peak_memory() const;

 private:
  c10::Device device_;
};

}  // namespace bsm
