// One stay in PAUSED or PLAYING: what the sink pad's streaming thread, the worker and the tasks of the source
// pads share.
//
// A session is owned by shared pointers, since an inference cannot be interrupted: a state change to READY
// does not wait for it longer than kStopWait; a worker that is still busy then keeps the session, the model
// and the stream alive, throws its result away, and ends. The element may be gone by then, so the session
// refers to it weakly.
#pragma once

#include <gst/gst.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "engine/engine.h"
#include "gst_ptr.h"
#include "input_queue.h"
#include "latency.h"
#include "output_queues.h"
#include "settings.h"

namespace bsm {

/// Counted since READY->PAUSED.
struct Statistics {
  guint64 processed_samples = 0;  ///< per pad, that left the worker
  guint64 inferences = 0;
  guint64 discontinuities = 0;  ///< starts of a timeline after the first one
  GstClockTime infer_last_ns = 0, infer_max_ns = 0, infer_total_ns = 0;
  GstClockTime separated_ns = 0;  ///< audio that the inferences covered
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(GstElement* owner, const BsmEngineApi* engine, std::string model_path, const Settings& snapshot);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const BsmEngineApi* const api;
  const std::string model_file;
  const Settings settings;
  InputQueue input;
  OutputQueues output;
  /// EOS has come in: from now on upstream does not see flow returns.
  std::atomic<bool> eos_received = false;

  /// Starts the worker.
  void start();
  /// Ends every wait; returns at once.
  void stop();
  /// After stop(): waits a little for the worker; if it is busy in the engine, leaves it to end by itself.
  void finish();
  bool stopped() const { return stopped_; }

  void flush_start();
  void flush_stop();

  /// The element, or NULL when it is gone.
  ElementPtr element();

  Timing timing() const;
  /// [worker] Stores what became known and posts LATENCY if the answer changed.
  void update_timing(const Timing& timing);
  std::string current_device() const;
  void set_current_device(const std::string& device);
  Statistics statistics() const;
  template <typename Change>
  void count(Change&& change) {
    const std::lock_guard lock(mutex_);
    change(statistics_);
  }

 private:
  GWeakRef element_;
  mutable std::mutex mutex_;
  Timing timing_;
  std::string current_device_;
  Statistics statistics_;
  std::atomic<bool> stopped_ = false;
  std::shared_ptr<struct WorkerThread> worker_;
};

}  // namespace bsm
