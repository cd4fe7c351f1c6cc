// Streams that compute on one device take turns, in the order in which they came: no stream starves, and the
// threads of the CPU are never asked for twice at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

namespace bsm {

/// A mutex that serves its waiters in the order of their calls. For std::lock_guard.
class FairMutex {
 public:
  void lock();
  void unlock();

 private:
  std::mutex mutex_;
  std::condition_variable served_;
  uint64_t next_ticket_ = 0;
  uint64_t serving_ = 0;
};

/// The turn of a device ("cpu", "cuda:0") in this process; the same object for the same name, for ever.
FairMutex& device_turn(const std::string& device);

}  // namespace bsm
