// A thread whose end can be waited for with a limit, and which is joined at the latest when the process
// exits.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace bsm {

struct WorkerThread;

/// Runs `body` in a new thread.
std::shared_ptr<WorkerThread> start_worker_thread(std::function<void()> body);

/// Waits up to `limit` for the end of the thread and joins it. A thread that is still busy is joined by a
/// later call of these functions or at exit: the engine's library must not be torn down under a running
/// inference.
void finish_worker_thread(const std::shared_ptr<WorkerThread>& thread, std::chrono::milliseconds limit);

}  // namespace bsm
