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
#include <bitset>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "controls.h"
#include "engine/engine.h"
#include "gst_ptr.h"
#include "input_queue.h"
#include "latency.h"
#include "model_file.h"
#include "output_queues.h"
#include "settings.h"
#include "statistics.h"

namespace bsm {

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(GstElement* owner, const BsmEngineApi* engine, ModelFiles model_files, const Settings& snapshot,
          std::shared_ptr<const Controls> live_controls);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const BsmEngineApi* const api;
  const ModelFiles model;
  const Settings settings;
  const std::shared_ptr<const Controls> controls;
  InputQueue input;
  OutputQueues output;
  /// EOS has come in: from now on upstream does not see flow returns.
  std::atomic<bool> eos_received = false;
  /// What upstream's answer to a LATENCY query says.
  std::atomic<bool> upstream_live = false;

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

  bool is_live() const {
    return settings.mode == Mode::kLive || (settings.mode == Mode::kAuto && upstream_live);
  }
  /// Never kAuto.
  OverloadPolicy overload_policy() const;

  Timing timing() const;
  /// [worker] Stores what became known and posts LATENCY if the answer changed.
  void update_timing(const Timing& timing);
  std::string current_device() const;
  void set_current_device(const std::string& device);
  /// [worker] Notifies `stem-names`. Returns a requested stem that the model does not have, or -1.
  int set_stem_names(std::vector<std::string> names);
  std::vector<std::string> stem_names() const;
  /// "drums" for the pad of that stem, once the model is loaded; "" for others.
  std::string stem_name(int pad) const;
  /// [any] A pad for the stem comes or goes. False: the model is loaded and does not have it.
  bool request_stem(int stem);
  void release_stem(int stem);
  Statistics statistics() const;
  template <typename Change>
  void count(Change&& change) {
    const std::lock_guard lock(mutex_);
    change(statistics_);
  }

 private:
  void notify(const char* property);

  GWeakRef element_;
  mutable std::mutex mutex_;
  Timing timing_;
  std::string current_device_;
  std::vector<std::string> stem_names_;  ///< empty: not known yet
  std::bitset<BSM_MAX_STEMS> requested_stems_;
  Statistics statistics_;
  std::atomic<bool> stopped_ = false;
  std::shared_ptr<struct WorkerThread> worker_;
};

}  // namespace bsm
