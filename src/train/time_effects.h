// Effects that change which sample of a recording sounds when: stutter, grains, vibrato. For whole batches on
// the device, without waiting for it.
#pragma once

#include <torch/types.h>

#include "train/row_table.h"

namespace bsm {

struct SourceDraw;

/// Adds the source's row when it has such an effect. The table's columns are known to read_places() only.
void list_time_effects(size_t source, const SourceDraw& draw, int sample_rate_hz, RowList& list);

/// Where F sources are read: two streams of grains, the second with the gain 0 where there are no grains.
struct ReadPlaces {
  torch::Tensor first;        ///< [F, n] float64, places in the packed samples
  torch::Tensor second;       ///< likewise
  torch::Tensor second_gain;  ///< [F, n] float32; that of the first is 1 - second_gain
};
/// @param start places in the packed samples at which the sources begin, @param speed packed samples per
/// output sample, both [F, 1] float64. @param time 0..n-1 [n] float64
ReadPlaces read_places(const RowTable& table, const torch::Tensor& start, const torch::Tensor& speed,
                       const torch::Tensor& time);

}  // namespace bsm
