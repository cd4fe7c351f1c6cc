// Offline separation: any length, memory independent of it.
//
// The STFT grid spans the whole signal. The network sees windows of frames; where windows overlap, their
// estimates are cross-faded with linear weights that sum to one. A last window that would be shorter than the
// others is moved back to end with the signal, so that it has the context of a whole one; only a signal
// shorter than a window, and the last window without overlap (the protocol of the authors), are shorter.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/audio.h"
#include "separate/model.h"

namespace bsm {

struct OfflineOptions {
  int64_t window_frames = 0;    ///< STFT frames per network window; 0 = 8 s, the length of training segments
  int64_t overlap_frames = -1;  ///< cross-faded with the next, at most half a window; -1 = an eighth
  int batch = 0;  ///< windows per network call, fewer when memory runs out; 0 = 1 on a CPU, else 4
  static OfflineOptions paper();  ///< 8 s windows back to back, as the authors evaluate
};

/// Planar stereo or mono samples of the mixture: fills up to `max_frames` frames into channel pointers,
/// returns how many; 0 at the end.
using AudioSource = std::function<int64_t(float* const* planar, int64_t max_frames)>;
/// Receives `outputs` = stems + 1 (the last is the rest of the mixture), each with `channels` channel
/// pointers, in order: outputs[stem][channel][frame].
using StemSink = std::function<void(const float* const* const* outputs, int64_t frames)>;

class OfflineSeparator {
 public:
  /// Throws Error(kSettings) for sizes that cannot work.
  OfflineSeparator(std::shared_ptr<const Model> model, const OfflineOptions& options = {});

  /// Reads the source to its end and writes exactly as many frames to the sink. channels: 1 or those of the
  /// model. Rest = mixture - stems in float. Samples that are not finite, or beyond 1e9, count as silence.
  /// Throws Error, and lets exceptions of source and sink pass.
  void run(int channels, const AudioSource& source, const StemSink& sink);

 private:
  std::shared_ptr<const Model> model_;
  OfflineOptions options_;
};

/// Whole buffers at once, for tests, evaluation and short files: [stems + 1] buffers.
std::vector<AudioBuffer> separate_offline(const std::shared_ptr<const Model>& model,
                                          const AudioBuffer& mixture, const OfflineOptions& options = {});

}  // namespace bsm
