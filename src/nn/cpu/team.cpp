#include "nn/cpu/team.h"

#include <ATen/Parallel.h>
#include <c10/core/thread_pool.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>

namespace bsm {

namespace {

/// One call. A helper that comes late finds nothing left and touches nothing but this.
struct Round {
  const std::function<void(int64_t)>& body;  // alive until `done` is `count`
  const int64_t count;
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::condition_variable finished;
  int64_t done = 0;
  std::exception_ptr error;

  void work() {
    for (int64_t i = next++; i < count; i = next++) {
      std::exception_ptr failed;
      try {
        body(i);
      } catch (...) {
        failed = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      if (failed && !error) error = failed;
      if (++done == count) finished.notify_all();
    }
  }
};

/// At least `helpers` threads. Never ended: the process ends while they sleep.
c10::ThreadPool& team_of(int helpers) {
  static std::mutex mutex;
  static c10::ThreadPool* team = nullptr;
  const std::lock_guard lock(mutex);
  // A larger team replaces a smaller one, which is left asleep: that happens once or twice in a process.
  if (team == nullptr || team->size() < static_cast<size_t>(helpers)) team = new c10::ThreadPool(helpers);
  return *team;
}

}  // namespace

void for_each_on_team(int64_t count, const std::function<void(int64_t)>& body) {
  const int helpers = static_cast<int>(std::min<int64_t>(at::get_num_threads(), count)) - 1;
  if (helpers <= 0) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  const auto round = std::make_shared<Round>(body, count);
  c10::ThreadPool& team = team_of(helpers);
  for (int i = 0; i < helpers; ++i) team.run([round] { round->work(); });
  round->work();
  std::unique_lock lock(round->mutex);
  round->finished.wait(lock, [&] { return round->done == count; });
  if (round->error) std::rethrow_exception(round->error);
}

}  // namespace bsm
