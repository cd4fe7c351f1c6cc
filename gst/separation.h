// The engine's stream with the mixture beside it.
//
// The mixture is delayed exactly as the separated signal is, so that output may come from either: separated,
// or (detached) the mixture alone, without an inference. When the stream is attached again, it gets the
// samples that are still on their way, so that the next output is separated again.
#pragma once

#include <cstdint>
#include <vector>

#include "inference.h"

namespace bsm {

class Separation {
 public:
  /// Throws EngineError. Returns the time of one warmed-up inference in ns.
  int64_t open(const BsmEngineApi* api, const EngineModel& model, const BsmStreamOptions& options);
  void close() { stream_.close(); }
  bool is_open() const { return stream_.is_open(); }
  const BsmStreamInfo& info() const { return stream_.info(); }

  /// A new signal begins. Throws EngineError.
  void start(bool attached);
  /// Takes samples; values that are not finite or absurd count as silence. Nothing is computed yet.
  void accept(const float* interleaved, int64_t frames);
  /// Attached: the engine gets what was accepted and computes what it can. Throws EngineError.
  void compute();
  /// End of the signal: all that is held becomes available. Throws EngineError.
  void finish();

  /// Frames that can be pulled now.
  int64_t available();
  /// Takes exactly `frames` of what is available. `outputs` [stems + 1] as in the engine (untouched when
  /// detached), and the mixture. Throws EngineError.
  void pull(float* const* outputs, float* mixture, int64_t frames);

  bool attached() const { return attached_; }
  void detach() { attached_ = false; }
  /// Throws EngineError.
  void attach();

  /// Frames taken and not pulled.
  int64_t held_frames() const;
  /// The latest so many input frames are zero.
  int64_t silent_frames() const { return silent_frames_; }

 private:
  int64_t floats(int64_t frames) const { return frames * channels_; }

  EngineStream stream_;
  int channels_ = 2;
  bool attached_ = true, finished_ = false;
  std::vector<float> mixture_;  ///< interleaved; what is held begins at head_
  size_t head_ = 0;
  int64_t given_frames_ = 0;  ///< of those held, that the engine has
  int64_t silent_frames_ = 0;
};

}  // namespace bsm
