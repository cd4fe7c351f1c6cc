// The operators of bands_cuda.h over the kernels' launch functions. Apart from that file because the tests of
// the emulated kernels run this one on a CPU.
#pragma once

#include "nn/cuda/bands_cuda.h"

namespace bsm {

std::unique_ptr<BandFeaturesCuda> fused_band_features(const std::vector<BandGroup>& runs, torch::Dtype dtype);
std::unique_ptr<BandMasksCuda> fused_band_masks(const BandGroup& hidden, const std::vector<BandGroup>& out,
                                                torch::Dtype dtype);

}  // namespace bsm
