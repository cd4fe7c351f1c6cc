#include "worker_thread.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace bsm {

struct WorkerThread {
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  std::thread thread;
};

namespace {

/// Threads that outlived their session.
struct Stragglers {
  std::mutex mutex;
  std::vector<std::shared_ptr<WorkerThread>> threads;

  void join_if(bool only_done) {
    std::vector<std::shared_ptr<WorkerThread>> joinable;
    {
      const std::lock_guard lock(mutex);
      const auto busy = [&](const std::shared_ptr<WorkerThread>& worker) {
        const std::lock_guard worker_lock(worker->mutex);
        return only_done && !worker->done;
      };
      const auto first = std::partition(threads.begin(), threads.end(), busy);
      joinable.assign(first, threads.end());
      threads.erase(first, threads.end());
    }
    for (const auto& worker : joinable) {
      // The last reference to an element may go away in its own worker: that one cannot join itself.
      if (worker->thread.get_id() == std::this_thread::get_id())
        worker->thread.detach();
      else
        worker->thread.join();
    }
  }
};

/// Never destroyed, so that the handler below may run at any point of the exit.
Stragglers& stragglers() {
  static Stragglers& all = *new Stragglers;
  return all;
}

}  // namespace

std::shared_ptr<WorkerThread> start_worker_thread(std::function<void()> body) {
  // Registered after the engine was opened, hence run before the destructors of the libraries that it pulled
  // in.
  static const bool registered = std::atexit([] { stragglers().join_if(false); }) == 0;
  (void)registered;
  stragglers().join_if(true);
  auto worker = std::make_shared<WorkerThread>();
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
  {
    std::unique_lock lock(worker->mutex);
    worker->ended.wait_for(lock, limit, [&] { return worker->done; });
  }
  {
    const std::lock_guard lock(stragglers().mutex);
    stragglers().threads.push_back(worker);
  }
  stragglers().join_if(true);
}

}  // namespace bsm
