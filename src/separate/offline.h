// Offline separation: any length, memory independent of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "separate/model.h"

namespace bsm {

struct OfflineOptions {
  int64_t window_frames = 0;   ///< STFT frames per network window; 0 = 8 s, the length of training segments
  int64_t overlap_frames = -1; ///< shared by neighbouring windows and cross-faded; -1 = an eighth of the window
  int batch = 0;               ///< windows per network call; 0 = 1 on a CPU, 4 on a GPU; halved when memory runs out
  static OfflineOptions paper();  ///< 8 s windows back to back, as the authors evaluate
};

/// Planar stereo or mono samples of the mixture: fills up to `max_frames` frames into channel pointers, returns how many;
/// 0 at the end.
using AudioSource = std::function<int64_t(float* const* planar, int64_t max_frames)>;
/// Receives `outputs` = stems + 1 (the last is the rest of the mixture), each with `channels` channel pointers, in order:
/// outputs[stem][channel][frame].
using StemSink = std::function<void(const float* const* const* outputs, int64_t frames)>;

class OfflineSeparator {
 public:
  OfflineSeparator(std::shared_ptr<const Model> model, const OfflineOptions& options = {});

  /// Reads the source to its end and writes exactly as many frames to the sink. channels: 1 or 2. The STFT grid spans the
  /// whole signal; windows of frames go through the network and their estimates are cross-faded with weights that sum
  /// to one. Rest = mixture - stems in float. Samples that are not finite count as silence.
  /// Throws Error.
  void run(int channels, const AudioSource& source, const StemSink& sink);

 private:
  std::shared_ptr<const Model> model_;
  OfflineOptions options_;
};

/// Whole buffers at once, for tests, evaluation and short files: [stems + 1] buffers.
std::vector<AudioBuffer> separate_offline(const std::shared_ptr<const Model>& model, const AudioBuffer& mixture,
                                          const OfflineOptions& options = {});

}  // namespace bsm
