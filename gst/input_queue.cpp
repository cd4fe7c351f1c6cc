#include "input_queue.h"

#include <algorithm>
#include <utility>

namespace bsm {

void InputQueue::set_channels(int channels) {
  const std::lock_guard lock(mutex_);
  channels_ = channels;
}

bool InputQueue::push_samples(const float* interleaved, int64_t frames) {
  std::unique_lock lock(mutex_);
  last_push_frames_ = frames;
  while (frames > 0) {
    space_.wait(lock, [&] { return stopped_ || flushing_ || queued_frames_ < capacity_frames_; });
    if (stopped_ || flushing_) return false;
    const int64_t n = std::min(frames, capacity_frames_ - queued_frames_);
    const size_t floats = static_cast<size_t>(n) * static_cast<size_t>(channels_);
    write(interleaved, floats);
    if (interleaved) interleaved += floats;
    if (entries_.empty() || entries_.back().mark || entries_.back().channels != channels_)
      entries_.push_back({std::nullopt, 0, channels_});
    entries_.back().frames += n;
    queued_frames_ += n;
    frames -= n;
    data_.notify_one();
  }
  return true;
}

bool InputQueue::push_mark(Mark mark) {
  const std::lock_guard lock(mutex_);
  if (stopped_ || flushing_) return false;
  entries_.push_back({std::move(mark), 0, 0});
  data_.notify_one();
  return true;
}

bool InputQueue::pop(Item* item, int64_t max_frames) {
  std::unique_lock lock(mutex_);
  data_.wait(lock, [&] { return stopped_ || (!flushing_ && !entries_.empty()); });
  if (stopped_) return false;
  item->epoch = epoch_;
  item->mark.reset();
  item->samples.clear();
  Entry& front = entries_.front();
  if (front.mark) {
    item->mark = std::move(front.mark);
    entries_.pop_front();
    return true;
  }
  const int64_t n = std::min(max_frames, front.frames);
  item->samples.resize(static_cast<size_t>(n) * static_cast<size_t>(front.channels));
  read(item->samples.data(), item->samples.size());
  front.frames -= n;
  queued_frames_ -= n;
  if (front.frames == 0) entries_.pop_front();
  space_.notify_one();
  return true;
}

void InputQueue::grow(int64_t capacity_frames) {
  const std::lock_guard lock(mutex_);
  capacity_frames_ = std::max(capacity_frames_, capacity_frames);
  space_.notify_one();
}

uint64_t InputQueue::flush_start() {
  const std::lock_guard lock(mutex_);
  flushing_ = true;
  head_ = filled_ = 0;
  queued_frames_ = 0;
  std::erase_if(entries_,
                [](const Entry& entry) { return !entry.mark || !survives_flush(entry.mark->event.get()); });
  space_.notify_all();
  return ++epoch_;
}

void InputQueue::flush_stop() {
  const std::lock_guard lock(mutex_);
  flushing_ = false;
  data_.notify_all();
}

void InputQueue::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  space_.notify_all();
  data_.notify_all();
}

int64_t InputQueue::queued_frames() const {
  const std::lock_guard lock(mutex_);
  return queued_frames_;
}

int64_t InputQueue::last_push_frames() const {
  const std::lock_guard lock(mutex_);
  return last_push_frames_;
}

void InputQueue::write(const float* interleaved, size_t floats) {
  if (filled_ + floats > ring_.size()) {
    // The first push, a grown capacity, or more channels: the contents move to the front of a larger ring.
    std::vector<float> larger(std::max(filled_ + floats, static_cast<size_t>(capacity_frames_ * channels_)));
    const size_t kept = filled_;
    read(larger.data(), kept);
    ring_ = std::move(larger);
    head_ = 0;
    filled_ = kept;
  }
  const size_t tail = (head_ + filled_) % ring_.size();
  const size_t first = std::min(floats, ring_.size() - tail);
  if (interleaved) {
    std::copy_n(interleaved, first, ring_.begin() + static_cast<std::ptrdiff_t>(tail));
    std::copy_n(interleaved + first, floats - first, ring_.begin());
  } else {
    std::fill_n(ring_.begin() + static_cast<std::ptrdiff_t>(tail), first, 0.0F);
    std::fill_n(ring_.begin(), floats - first, 0.0F);
  }
  filled_ += floats;
}

void InputQueue::read(float* out, size_t floats) {
  if (floats == 0) return;
  const size_t first = std::min(floats, ring_.size() - head_);
  std::copy_n(ring_.begin() + static_cast<std::ptrdiff_t>(head_), first, out);
  std::copy_n(ring_.begin(), floats - first, out + first);
  head_ = (head_ + floats) % ring_.size();
  filled_ -= floats;
}

}  // namespace bsm
