#include "worker_thread.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace bsm {

struct WorkerThread {
  std::function<void()> stop;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  std::thread thread;

  bool wait(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex);
    return ended.wait_for(lock, limit, [&] { return done; });
  }
};

namespace {

/// How long the exit of the process waits for what the engine is doing.
constexpr std::chrono::seconds kExitWait{10};

/// All threads that were started and not joined.
class Workers {
 public:
  bool add(const std::shared_ptr<WorkerThread>& worker) {
    const std::lock_guard lock(mutex_);
    if (!exiting_) threads_.push_back(worker);
    return !exiting_;
  }

  void join_done() {
    std::vector<std::shared_ptr<WorkerThread>> joinable;
    {
      const std::lock_guard lock(mutex_);
      const auto busy = [](const std::shared_ptr<WorkerThread>& worker) {
        const std::lock_guard worker_lock(worker->mutex);
        return !worker->done;
      };
      const auto first = std::partition(threads_.begin(), threads_.end(), busy);
      joinable.assign(first, threads_.end());
      threads_.erase(first, threads_.end());
    }
    for (const auto& worker : joinable) {
      // The last reference to an element may go away in its own worker: that one cannot join itself.
      if (is_this_thread(*worker))
        worker->thread.detach();
      else
        worker->thread.join();
    }
  }

  void end_all() {
    std::vector<std::shared_ptr<WorkerThread>> all;
    {
      const std::lock_guard lock(mutex_);
      exiting_ = true;
      all.swap(threads_);
    }
    for (const auto& worker : all) worker->stop();
    for (const auto& worker : all) {
      // A worker, too, may call exit(), from a bus handler.
      if (!is_this_thread(*worker) && worker->wait(kExitWait))
        worker->thread.join();
      else
        worker->thread.detach();
    }
  }

 private:
  static bool is_this_thread(WorkerThread& worker) {
    const std::lock_guard lock(worker.mutex);
    return worker.thread.get_id() == std::this_thread::get_id();
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<WorkerThread>> threads_;
  bool exiting_ = false;
};

/// Never destroyed, so that the handler below may run at any point of the exit.
Workers& workers() {
  static Workers& all = *new Workers;
  return all;
}

/// Of the main thread: thread-local objects are destroyed before everything static when it leaves main() or
/// calls exit().
struct EndWithMainThread {
  const bool main = getpid() == gettid();
  ~EndWithMainThread() {
    if (main) workers().end_all();
  }
  void touch() const {}
};

}  // namespace

void end_worker_threads_with_main() {
  static thread_local const EndWithMainThread end;
  end.touch();
}

void end_worker_threads_before_statics() {
  std::atexit([] { workers().end_all(); });
}

std::shared_ptr<WorkerThread> start_worker_thread(std::function<void()> body, std::function<void()> stop) {
  end_worker_threads_with_main();
  // After the engine was opened, hence before the destructors of the libraries that it pulled in.
  static std::once_flag once;
  std::call_once(once, end_worker_threads_before_statics);
  workers().join_done();
  auto worker = std::make_shared<WorkerThread>();
  worker->stop = std::move(stop);
  const std::lock_guard not_before(
      worker->mutex);  // `thread` is set when the thread can be seen to have ended
  if (!workers().add(worker)) return nullptr;
  worker->thread = std::thread([worker, body = std::move(body)]() mutable {
    pthread_setname_np(pthread_self(), "bsmamba2sep");
    body();
    body = nullptr;
    const std::lock_guard lock(worker->mutex);
    worker->done = true;
    worker->ended.notify_all();
  });
  return worker;
}

void finish_worker_thread(const std::shared_ptr<WorkerThread>& worker, std::chrono::milliseconds limit) {
  if (!worker) return;
  worker->wait(limit);
  workers().join_done();
}

}  // namespace bsm
