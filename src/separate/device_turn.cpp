#include "separate/device_turn.h"

#include <map>

namespace bsm {

void FairMutex::lock() {
  std::unique_lock lock(mutex_);
  const uint64_t ticket = next_ticket_++;
  served_.wait(lock, [&] { return serving_ == ticket; });
}

void FairMutex::unlock() {
  const std::lock_guard lock(mutex_);
  ++serving_;
  served_.notify_all();
}

FairMutex& device_turn(const std::string& device) {
  // Never destroyed: a worker may still compute while the process exits.
  static std::mutex& mutex = *new std::mutex;
  static auto& turns = *new std::map<std::string, FairMutex>;
  const std::lock_guard lock(mutex);
  return turns[device];
}

}  // namespace bsm
