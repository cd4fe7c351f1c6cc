// A thread whose end can be waited for with a limit, and which has ended before the process tears its
// libraries down.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace bsm {

struct WorkerThread;

/// Runs `body` in a new thread. `stop` makes it end soon; when the process exits it is called, from any
/// thread, and the end waited for: LibTorch's destructors must not run under a load or an inference. NULL
/// when the process exits.
std::shared_ptr<WorkerThread> start_worker_thread(std::function<void()> body, std::function<void()> stop);

/// Called in the main thread: when that ends the process, the threads are ended before any static is
/// destroyed. Does nothing in others.
void end_worker_threads_with_main();

/// [any] When a thread other than the main one calls exit(), the threads are ended before the statics that
/// exist now are destroyed; without this call, only before those that existed when the first thread was
/// started. The engine makes those of a CPU when it is opened, those of a GPU come with the first load and
/// the first inference.
void end_worker_threads_before_statics();

/// Waits up to `limit` for the end of the thread and joins it. A thread that is still busy is joined by a
/// later call of these functions or at exit.
void finish_worker_thread(const std::shared_ptr<WorkerThread>& thread, std::chrono::milliseconds limit);

}  // namespace bsm
