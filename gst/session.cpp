#include "session.h"

#include <utility>

#include "debug.h"
#include "worker.h"
#include "worker_thread.h"

namespace bsm {
namespace {

/// How long a state change waits for a worker that is inside the engine.
constexpr std::chrono::milliseconds kStopWait{50};

int64_t two_hops(const Settings& settings, const Timing& timing) {
  return 2 * derive_shape(settings, timing.frame_hop_samples, timing.tail_samples).hop_samples;
}

}  // namespace

Session::Session(GstElement* owner, const BsmEngineApi* engine, std::string model_path,
                 const Settings& snapshot)
    : api(engine),
      model_file(std::move(model_path)),
      settings(snapshot),
      input(ring_capacity_samples(snapshot, Timing{})),
      output(two_hops(snapshot, Timing{})) {
  g_weak_ref_init(&element_, owner);
}

Session::~Session() { g_weak_ref_clear(&element_); }

void Session::start() {
  worker_ = start_worker_thread([self = shared_from_this()] { Worker(*self).run(); });
}

void Session::stop() {
  stopped_ = true;
  input.stop();
  output.stop();
}

void Session::finish() { finish_worker_thread(std::exchange(worker_, nullptr), kStopWait); }

void Session::flush_start() { output.flush_start(input.flush_start()); }

void Session::flush_stop() {
  eos_received = false;
  output.flush_stop();
  input.flush_stop();
}

ElementPtr Session::element() { return ElementPtr(GST_ELEMENT_CAST(g_weak_ref_get(&element_))); }

Timing Session::timing() const {
  const std::lock_guard lock(mutex_);
  return timing_;
}

void Session::update_timing(const Timing& timing) {
  OwnLatency before;
  {
    const std::lock_guard lock(mutex_);
    before = own_latency(settings, timing_);
    timing_ = timing;
  }
  input.grow(ring_capacity_samples(settings, timing));
  output.set_capacity(two_hops(settings, timing));
  const OwnLatency after = own_latency(settings, timing);
  if (before.min == after.min && before.max == after.max) return;
  const ElementPtr owner = element();
  if (!owner || stopped_) return;
  GST_INFO_OBJECT(owner.get(), "own latency %" GST_TIME_FORMAT ", was %" GST_TIME_FORMAT,
                  GST_TIME_ARGS(after.min), GST_TIME_ARGS(before.min));
  gst_element_post_message(owner.get(), gst_message_new_latency(GST_OBJECT_CAST(owner.get())));
}

std::string Session::current_device() const {
  const std::lock_guard lock(mutex_);
  return current_device_;
}

void Session::set_current_device(const std::string& device) {
  {
    const std::lock_guard lock(mutex_);
    current_device_ = device;
  }
  if (const ElementPtr owner = element(); owner && !stopped_)
    g_object_notify(G_OBJECT(owner.get()), "current-device");
}

Statistics Session::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace bsm
