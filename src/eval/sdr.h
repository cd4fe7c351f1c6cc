// Signal-to-distortion ratios of source separation (shared network.md, "How the authors train, infer and
// score"). All sums run in double precision over all channels.
#pragma once

#include <optional>
#include <vector>

#include "core/audio.h"

namespace bsm {

/// uSDR of a track: 10 log10((sum s^2 + 1e-7) / (sum (s - e)^2 + 1e-7)), dB. Throws Error(kSettings) on
/// unequal shapes.
double utterance_sdr_db(const AudioBuffer& reference, const AudioBuffer& estimate);

/// SDR of each whole, non-overlapping window (default 1 s); empty where reference or estimate is silent
/// (its channel sum is zero at every sample), infinite where the estimate equals the reference. Equals the
/// SDR of BSSEval v4.
std::vector<std::optional<double>> window_sdr_db(const AudioBuffer& reference, const AudioBuffer& estimate,
                                                 int sample_rate_hz, double window_s = 1.0);

/// cSDR of a track: the median of window_sdr_db; empty when no window counts.
std::optional<double> chunk_sdr_db(const AudioBuffer& reference, const AudioBuffer& estimate,
                                   int sample_rate_hz);

/// Leak in silence: level of the estimate, dB relative to full scale RMS 1.0, over the 100 ms windows in
/// which the reference is silent (RMS below -60 dBFS); empty when there is none, minus infinity when nothing
/// leaks.
std::optional<double> silence_leak_db(const AudioBuffer& reference, const AudioBuffer& estimate,
                                      int sample_rate_hz);

/// Throws Error(kSettings) for no values.
double mean(const std::vector<double>& values);
/// Mean of the middle two for even counts. Throws Error(kSettings) for no values.
double median(std::vector<double> values);

}  // namespace bsm
