// Streaming separation: push any number of samples, pull separated ones a fixed delay later.
//
// Frame t of a signal is centred on sample t * stft.hop; all frames of a stream lie on that one grid.
// Inference h finishes the frames [h * hop, (h + 1) * hop) as soon as the last frame of its look-ahead is
// complete:
//
// - rolling: each inference runs the network over [context | hop | look-ahead] frames from zero states;
// - carry: the forward-running scans and convolutions keep their state over hops, so that all of the past is
//   context at the cost of (hop + look-ahead) / hop; the backward scans run over hop + look-ahead.
//
// Windows are cut off at the first and the last frame of the signal, and the first window that reaches the
// last frame finishes all frames left. Rest = mixture - stems in float.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dsp/stft_stream.h"
#include "separate/model.h"

namespace bsm {

enum class StreamingMode { kCarry, kRolling };

struct StreamingOptions {
  StreamingMode mode = StreamingMode::kCarry;
  int channels = 2;              ///< 1 (for any model) or those of the model
  int64_t hop_frames = 0;        ///< frames that one inference finishes, at least 1
  int64_t lookahead_frames = 0;  ///< frames of right context
  int64_t context_frames = 0;    ///< frames of left context (rolling only)
};

/// Hop + look-ahead + STFT tail in samples: once n samples have been pushed, n - delay or more can be pulled.
int64_t streaming_delay_samples(const StftSpec& stft, const StreamingOptions& options);

/// One stream. Not thread-safe; streams of one model may run in different threads. After an Error other than
/// of the constructor only reset() may be called.
class StreamingSeparator {
 public:
  /// Throws Error(kSettings) for sizes that cannot work (carry needs a Mamba2 model).
  StreamingSeparator(std::shared_ptr<const Model> model, const StreamingOptions& options);
  ~StreamingSeparator();
  StreamingSeparator(StreamingSeparator&&) noexcept;
  StreamingSeparator& operator=(StreamingSeparator&&) noexcept;

  const StreamingOptions& options() const { return options_; }
  int64_t delay_samples() const;
  /// Takes interleaved samples; runs the network once for each hop that becomes complete. Samples that are
  /// not finite, or beyond 1e9, count as silence. Throws Error(kOutOfMemory), Error(kDevice), Error(kFailed).
  void push(const float* interleaved, int64_t frames);
  int64_t available() const;
  /// Writes up to `max_frames` interleaved frames to each of the stems + 1 outputs (null pointers are
  /// skipped), returns how many.
  int64_t pull(float* const* outputs, int64_t max_frames);
  /// End of signal: after it, exactly as many frames can be pulled in all as were pushed.
  void finish();
  /// Forgets everything: the next sample starts a new signal.
  void reset();
  /// Runs a few hops of silence with the shapes of a settled stream, so that the first real hop is not slow.
  /// Leaves the signal alone. Returns the time of the last, in ns.
  int64_t warm_up_ns();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  StreamingOptions options_;
};

}  // namespace bsm
