// Ways to get the two stems of a song that `evaluate` can score.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/audio.h"
#include "separate/offline.h"
#include "separate/streaming.h"

namespace bsm {

struct Estimate {
  AudioBuffer vocals;
  AudioBuffer instrumental;
};

/// Mixture and its name (see variant_name() in evaluate.cpp) to stems of the same shape. Throws Error.
using Estimator = std::function<Estimate(const AudioBuffer& mixture, const std::string& name)>;

Estimator offline_estimator(std::shared_ptr<const Model> model, const OfflineOptions& options);
Estimator streaming_estimator(std::shared_ptr<const Model> model, const StreamingOptions& options);

/// "mixture" (both stems are the mixture) or "silence" (no voice, the band is the mixture).
Estimator baseline_estimator(const std::string& name);

/// Files DIR/<name>.vocals.* and DIR/<name>.instrumental.*; when only one is there, the other is the mixture
/// minus it.
Estimator file_estimator(const std::string& dir);

/// Parses "hop=MS,lookahead=MS[,context=MS][,mode=carry|rolling]" (milliseconds, or a number with the unit s
/// or ms), rounded up to whole STFT frames of the model. Throws UsageError.
StreamingOptions parse_stream_options(const std::string& text, const ModelConfig& config);

}  // namespace bsm
