// How many CPU threads inference takes, and how they are set up.
#pragma once

namespace bsm {

/// Physical cores that this process may run on: the CPUs of its affinity mask, hyperthreads of one core
/// counted once (Linux: /sys/devices/system/cpu/cpu*/topology); without that information, all hardware
/// threads. At least 1.
int physical_cores();

/// For the time of its life, what the calling thread computes takes `threads` CPU threads in all, and treats
/// denormal numbers as zero: a state that decays through a silent passage would else make each of its
/// operations many times slower. LibTorch's workers inherit that from the thread that starts them; the
/// operators of nn/cpu/ set it themselves, on any thread. The previous denormal setting of the calling thread
/// comes back afterwards; its number of threads stays, for setting it makes LibTorch drop caches.
class CpuThreadScope {
 public:
  explicit CpuThreadScope(int threads);
  ~CpuThreadScope();
  CpuThreadScope(const CpuThreadScope&) = delete;
  CpuThreadScope& operator=(const CpuThreadScope&) = delete;

 private:
  struct FloatEnvironment;
  FloatEnvironment* saved_;
};

}  // namespace bsm
