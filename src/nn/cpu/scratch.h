// Work memory of a thread, kept from call to call.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace bsm {

class Scratch {
 public:
  /// 64-byte aligned; what it held before is lost when it grows.
  float* at_least(int64_t floats) {
    if (floats > floats_) {
      memory_.reset();
      floats_ = 0;
      memory_.reset(static_cast<float*>(::operator new(floats * sizeof(float), kAlignment)));
      floats_ = floats;
    }
    return memory_.get();
  }

  /// The calling thread's.
  static Scratch& of_this_thread() {
    thread_local Scratch scratch;
    return scratch;
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t floats_ = 0;
};

}  // namespace bsm
