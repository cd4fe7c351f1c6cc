#include "output_queues.h"

#include <algorithm>
#include <utility>

namespace bsm {

bool OutputQueues::push_buffers(uint64_t epoch, PadBuffers buffers, int64_t frames) {
  std::unique_lock lock(mutex_);
  space_.wait(lock, [&] {
    return over(epoch) || std::none_of(queues_.begin(), queues_.end(), [&](const Queue& queue) {
             return queue.active && queue.frames >= capacity_frames_;
           });
  });
  if (over(epoch)) return false;
  for (size_t pad = 0; pad < queues_.size(); ++pad) {
    Queue& queue = queues_[pad];
    if (!queue.active || !buffers[pad]) continue;
    queue.outputs.push_back({std::move(buffers[pad]), nullptr, frames});
    queue.frames += frames;
  }
  data_.notify_all();
  return true;
}

void OutputQueues::remember(GstEvent* event) {
  const GstEventType type = GST_EVENT_TYPE(event);
  const bool many = (gst_event_type_get_flags(type) & GST_EVENT_TYPE_STICKY_MULTI) != 0;
  std::erase_if(sticky_, [&](const EventPtr& old) {
    if (type == GST_EVENT_STREAM_START && GST_EVENT_TYPE(old.get()) == GST_EVENT_EOS) return true;
    return GST_EVENT_TYPE(old.get()) == type &&
           (!many || gst_event_has_name(event, gst_structure_get_name(gst_event_get_structure(old.get()))));
  });
  const auto later = std::find_if(sticky_.begin(), sticky_.end(),
                                  [&](const EventPtr& old) { return GST_EVENT_TYPE(old.get()) > type; });
  sticky_.emplace(later, gst_event_ref(event));
}

bool OutputQueues::push_event(uint64_t epoch, EventPtr* event) {
  const std::lock_guard lock(mutex_);
  if (over(epoch)) return false;
  for (Queue& queue : queues_)
    if (queue.active) queue.outputs.push_back({nullptr, EventPtr(gst_event_ref(event->get()))});
  if (is_sticky(event->get())) remember(event->get());
  event->reset();
  data_.notify_all();
  return true;
}

bool OutputQueues::pop(int pad, Output* output) {
  std::unique_lock lock(mutex_);
  Queue& queue = queues_[pad];
  data_.wait(lock, [&] { return stopped_ || flushing_ || !queue.active || !queue.outputs.empty(); });
  if (stopped_ || flushing_ || !queue.active) return false;
  *output = std::move(queue.outputs.front());
  queue.outputs.pop_front();
  queue.frames -= output->frames;
  if (output->buffer) output->first = std::exchange(queue.fresh, false);
  space_.notify_all();
  return true;
}

void OutputQueues::lost(int pad) {
  const std::lock_guard lock(mutex_);
  queues_[pad].fresh = true;
}

void OutputQueues::put_back(int pad, EventPtr event) {
  const std::lock_guard lock(mutex_);
  queues_[pad].outputs.push_front({nullptr, std::move(event)});
}

void OutputQueues::set_capacity(int64_t capacity_frames) {
  const std::lock_guard lock(mutex_);
  capacity_frames_ = capacity_frames;
  space_.notify_all();
}

void OutputQueues::set_active(int pad, bool active) {
  const std::lock_guard lock(mutex_);
  Queue& queue = queues_[pad];
  if (queue.active == active) return;
  queue.active = active;
  queue.fresh = true;
  queue.outputs.clear();
  queue.frames = 0;
  if (active)
    for (const EventPtr& event : sticky_)
      queue.outputs.push_back({nullptr, EventPtr(gst_event_ref(event.get()))});
  space_.notify_all();
  data_.notify_all();
}

bool OutputQueues::is_active(int pad) const {
  const std::lock_guard lock(mutex_);
  return queues_[pad].active;
}

void OutputQueues::flush_start(uint64_t epoch) {
  const std::lock_guard lock(mutex_);
  flushing_ = true;
  epoch_ = epoch;
  for (Queue& queue : queues_) {
    std::erase_if(queue.outputs, [](const Output& output) { return !survives_flush(output.event.get()); });
    queue.frames = 0;
  }
  std::erase_if(sticky_, [](const EventPtr& event) { return !survives_flush(event.get()); });
  space_.notify_all();
  data_.notify_all();
}

void OutputQueues::flush_stop() {
  const std::lock_guard lock(mutex_);
  flushing_ = false;
  failed_ = failed_for_good_;
}

bool OutputQueues::is_flushing() const {
  const std::lock_guard lock(mutex_);
  return flushing_;
}

void OutputQueues::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  space_.notify_all();
  data_.notify_all();
}

bool OutputQueues::fail(uint64_t epoch, bool for_good) {
  const std::lock_guard lock(mutex_);
  if (stopped_ || (!for_good && epoch != epoch_)) return false;
  failed_ = true;
  failed_for_good_ = failed_for_good_ || for_good;
  return true;
}

bool OutputQueues::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

int64_t OutputQueues::queued_frames() const {
  const std::lock_guard lock(mutex_);
  int64_t most = 0;
  for (const Queue& queue : queues_) most = std::max(most, queue.frames);
  return most;
}

}  // namespace bsm
