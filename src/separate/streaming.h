// Streaming separation: push any number of samples, pull separated ones a fixed delay later.
//
// rolling: each hop runs the network over [context | hop | look-ahead] frames from zero states.
// carry:   the forward-running scans and convolutions keep their state over hops, so that all of the past is context at
//          the cost of (hop + look-ahead) / hop; the backward scans run over hop + look-ahead.
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
  int channels = 2;             ///< 1 or 2
  int64_t hop_frames = 0;       ///< frames that one inference finishes, at least 1
  int64_t lookahead_frames = 0; ///< frames of right context
  int64_t context_frames = 0;   ///< frames of left context (rolling only)
};

/// Hop + look-ahead + STFT tail in samples: sample s leaves no later than when sample s + delay has been pushed.
int64_t streaming_delay_samples(const StftSpec& stft, const StreamingOptions& options);

class StreamingSeparator {
 public:
  /// Throws Error(kSettings) for sizes that cannot work (carry needs a Mamba2 model).
  StreamingSeparator(std::shared_ptr<const Model> model, const StreamingOptions& options);

  const StreamingOptions& options() const { return options_; }
  int64_t delay_samples() const;
  /// Takes interleaved samples; runs the network once for each hop that becomes complete. Not finite = silence.
  void push(const float* interleaved, int64_t frames);
  int64_t available() const;
  /// Writes up to `max_frames` interleaved frames to each of the stems + 1 outputs (null pointers are skipped).
  int64_t pull(float* const* outputs, int64_t max_frames);
  /// End of signal: after it, exactly as many frames can be pulled in all as were pushed.
  void finish();
  void reset();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
  StreamingOptions options_;
};

}  // namespace bsm
