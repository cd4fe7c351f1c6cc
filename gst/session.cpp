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

Session::Session(GstElement* owner, const BsmEngineApi* engine, ModelFiles model_files,
                 const Settings& snapshot, std::shared_ptr<const Controls> live_controls)
    : api(engine),
      model(std::move(model_files)),
      settings(snapshot),
      controls(std::move(live_controls)),
      input(ring_capacity_samples(snapshot, Timing{})),
      output(two_hops(snapshot, Timing{})) {
  g_weak_ref_init(&element_, owner);
}

Session::~Session() { g_weak_ref_clear(&element_); }

void Session::start() {
  worker_ = start_worker_thread([self = shared_from_this()] { Worker(*self).run(); },
                                [weak = weak_from_this()] {
                                  if (const auto self = weak.lock()) self->stop();
                                });
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

void Session::notify(const char* property) {
  if (const ElementPtr owner = element(); owner && !stopped_)
    g_object_notify(G_OBJECT(owner.get()), property);
}

void Session::set_current_device(const std::string& device) {
  {
    const std::lock_guard lock(mutex_);
    current_device_ = device;
  }
  notify("current-device");
}

int Session::set_stem_names(std::vector<std::string> names) {
  int missing = -1;
  {
    const std::lock_guard lock(mutex_);
    stem_names_ = std::move(names);
    for (size_t stem = stem_names_.size(); stem < requested_stems_.size(); ++stem)
      if (requested_stems_[stem]) missing = static_cast<int>(stem);
  }
  notify("stem-names");
  return missing;
}

std::vector<std::string> Session::stem_names() const {
  const std::lock_guard lock(mutex_);
  return stem_names_;
}

std::string Session::stem_name(int pad) const {
  const std::lock_guard lock(mutex_);
  const int stem = pad - kFirstStem;
  return stem >= 0 && stem < static_cast<int>(stem_names_.size()) ? stem_names_[static_cast<size_t>(stem)]
                                                                  : "";
}

bool Session::request_stem(int stem) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<size_t>(stem);
  if (!stem_names_.empty() && index >= stem_names_.size()) return false;
  requested_stems_.set(index);
  return true;
}

void Session::release_stem(int stem) {
  const std::lock_guard lock(mutex_);
  requested_stems_.reset(static_cast<size_t>(stem));
}

OverloadPolicy Session::overload_policy() const {
  const OverloadPolicy policy = controls->overload_policy;
  if (policy != OverloadPolicy::kAuto) return policy;
  return is_live() ? OverloadPolicy::kBypass : OverloadPolicy::kBlock;
}

Statistics Session::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace bsm
