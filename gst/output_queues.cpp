#include "output_queues.h"

#include <algorithm>
#include <utility>

namespace bsm {

bool OutputQueues::push_buffers(uint64_t epoch, BufferPair buffers, int64_t frames) {
  std::unique_lock lock(mutex_);
  space_.wait(lock, [&] {
    return over(epoch) || std::none_of(queues_.begin(), queues_.end(), [&](const Queue& queue) {
             return queue.active && queue.frames >= capacity_frames_;
           });
  });
  if (over(epoch)) return false;
  for (int pad = 0; pad < kSourcePads; ++pad) {
    if (!queues_[pad].active) continue;
    queues_[pad].outputs.push_back({std::move(buffers[pad]), nullptr, frames});
    queues_[pad].frames += frames;
  }
  data_.notify_all();
  return true;
}

bool OutputQueues::push_events(uint64_t epoch, EventPair* events) {
  const std::lock_guard lock(mutex_);
  if (over(epoch)) return false;
  for (int pad = 0; pad < kSourcePads; ++pad) {
    // An inactive pad keeps its sticky events for when it is active again.
    if (queues_[pad].active || is_sticky((*events)[pad].get()))
      queues_[pad].outputs.push_back({nullptr, std::move((*events)[pad]), 0});
    (*events)[pad].reset();
  }
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
  space_.notify_all();
  return true;
}

void OutputQueues::put_back(int pad, EventPtr event) {
  const std::lock_guard lock(mutex_);
  queues_[pad].outputs.push_front({nullptr, std::move(event), 0});
}

void OutputQueues::set_capacity(int64_t capacity_frames) {
  const std::lock_guard lock(mutex_);
  capacity_frames_ = capacity_frames;
  space_.notify_all();
}

void OutputQueues::set_active(int pad, bool active) {
  const std::lock_guard lock(mutex_);
  Queue& queue = queues_[pad];
  queue.active = active;
  if (!active) {
    queue.outputs.clear();
    queue.frames = 0;
  }
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
  return std::max(queues_[kVocals].frames, queues_[kInstrumental].frames);
}

}  // namespace bsm
