// Separated samples become buffers: both pads get the same cuts, timestamps and flags.
#include <algorithm>
#include <array>
#include <utility>

#include "debug.h"
#include "worker.h"

namespace bsm {
namespace {

/// A buffer that is mapped for writing as long as the object lives.
class MappedBuffer {
 public:
  explicit MappedBuffer(size_t bytes) : buffer_(gst_buffer_new_allocate(nullptr, bytes, nullptr)) {
    if (!buffer_ || !gst_buffer_map(buffer_.get(), &map_, GST_MAP_WRITE))
      throw EngineError{BSM_ERROR_OUT_OF_MEMORY,
                        "No memory for " + std::to_string(bytes) + " bytes of output."};
  }
  ~MappedBuffer() {
    if (buffer_) gst_buffer_unmap(buffer_.get(), &map_);
  }
  MappedBuffer(const MappedBuffer&) = delete;
  MappedBuffer& operator=(const MappedBuffer&) = delete;

  float* floats() { return reinterpret_cast<float*>(map_.data); }
  bool silent() const {
    const auto* first = reinterpret_cast<const float*>(map_.data);
    return std::all_of(first, first + map_.size / sizeof(float), [](float x) { return x == 0.0F; });
  }
  BufferPtr release() {
    gst_buffer_unmap(buffer_.get(), &map_);
    return std::move(buffer_);
  }

 private:
  BufferPtr buffer_;
  GstMapInfo map_{};
};

GstClockTime duration_ns(int64_t frames) {
  return gst_util_uint64_scale(static_cast<guint64>(frames), GST_SECOND, kRateHz);
}

}  // namespace

void Worker::publish_available() {
  int64_t available = stream_.available();
  publish_due_events();
  while (available > 0 && !superseded_) {
    // A block ends where an event belongs.
    int64_t frames = std::min(available, std::max<int64_t>(stream_.info().hop_samples, 1));
    if (!pending_.empty()) frames = std::min(frames, pending_.front().at_frame - out_frames_);
    publish_block(frames);
    available -= frames;
    publish_due_events();
  }
}

void Worker::publish_block(int64_t frames) {
  const size_t bytes = static_cast<size_t>(frames) * static_cast<size_t>(channels_) * sizeof(float);
  MappedBuffer vocals(bytes), instrumental(bytes);
  pull_block(vocals.floats(), instrumental.floats(), frames);
  const bool silent = vocals.silent() && instrumental.silent();
  stamp_and_push({vocals.release(), instrumental.release()}, frames, silent);
}

void Worker::pull_block(float* vocals, float* instrumental, int64_t frames) {
  // Outputs: stem 0 (the voice), other stems, the rest of the mixture. Everything but the voice is the
  // instrumental.
  const size_t floats = static_cast<size_t>(frames) * static_cast<size_t>(channels_);
  std::array<float*, BSM_MAX_STEMS + 1> outputs{};
  outputs[0] = vocals;
  for (size_t i = 0; i < other_stems_.size(); ++i) {
    other_stems_[i].resize(floats);
    outputs[i + 1] = other_stems_[i].data();
  }
  outputs[other_stems_.size() + 1] = instrumental;
  const int64_t pulled = stream_.pull(outputs.data(), frames);
  if (pulled != frames)
    throw EngineError{BSM_ERROR_FAILED, "The separation engine announced " + std::to_string(frames) +
                                            " samples and gave " + std::to_string(pulled) +
                                            ". Install plugin and engine of the same version."};
  for (const std::vector<float>& stem : other_stems_)
    for (size_t i = 0; i < floats; ++i) instrumental[i] += stem[i];
}

void Worker::publish_unseparated(const float* mixture, int64_t frames) {
  const size_t floats = static_cast<size_t>(frames) * static_cast<size_t>(channels_);
  MappedBuffer vocals(floats * sizeof(float)), instrumental(floats * sizeof(float));
  std::fill_n(vocals.floats(), floats, 0.0F);
  std::copy_n(mixture, floats, instrumental.floats());
  const bool silent = instrumental.silent();
  stamp_and_push({vocals.release(), instrumental.release()}, frames, silent);
  publish_due_events();
}

void Worker::publish_due_events() {
  while (!pending_.empty() && pending_.front().at_frame <= out_frames_) {
    if (!session_.output.push_events(epoch_, &pending_.front().events)) {
      superseded_ = true;
      return;
    }
    pending_.pop_front();
  }
}

void Worker::stamp_and_push(BufferPair buffers, int64_t frames, bool silent) {
  // Counted from the anchor, so that rounding never adds up: PTS + DURATION is the next PTS exactly.
  const GstClockTime begin = duration_ns(out_frames_), end = duration_ns(out_frames_ + frames);
  for (const BufferPtr& buffer : buffers) {
    GST_BUFFER_PTS(buffer.get()) = anchor_->pts + begin;
    GST_BUFFER_DURATION(buffer.get()) = end - begin;
    if (anchor_->offset != GST_BUFFER_OFFSET_NONE) {
      GST_BUFFER_OFFSET(buffer.get()) = anchor_->offset + static_cast<guint64>(out_frames_);
      GST_BUFFER_OFFSET_END(buffer.get()) = anchor_->offset + static_cast<guint64>(out_frames_ + frames);
    }
    if (discont_) GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_RESYNC);
    if (silent) GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_GAP);
  }
  if (!session_.output.push_buffers(epoch_, std::move(buffers), frames)) {
    superseded_ = true;
    return;
  }
  discont_ = false;
  out_frames_ += frames;
  session_.count([&](Statistics& s) { s.processed_samples += static_cast<guint64>(frames); });
}

}  // namespace bsm
