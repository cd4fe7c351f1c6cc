// Source activity detection of the published training (network.md, "How the authors train"; Luo & Yu 2023,
// section III-C): which segments of a stem are worth drawing.
#pragma once

#include <cstdint>
#include <vector>

#include "train/decode.h"

namespace bsm {

/// Starts, in samples of the track, of the segments of `segment_samples` (stepped by half their length) that
/// are active: of its ten sub-windows more than half are, in both channels, louder than the larger of -60 dB
/// relative to full scale and the 0.15 quantile of the sub-windows' RMS.
std::vector<int64_t> active_segments(const DecodedTrack& track, int64_t segment_samples);

}  // namespace bsm
