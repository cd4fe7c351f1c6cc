// Inputs for the fused operators of band split and mask heads and their comparison with plain operators,
// shared by the tests that run the kernels on a GPU and those that emulate them.
#pragma once

#include "mixer_cases.h"
#include "nn/blocks.h"
#include "nn/cuda/bands_fused.h"

namespace bsm::testing {

struct BandsCase {
  int64_t batch, frames, dim, hidden;
  std::vector<int64_t> widths, counts;  ///< of the runs of bands
};

inline BandGroup make_band_group(int64_t bands, int64_t in, int64_t out, torch::Device device) {
  return {(torch::randn({bands, in, out}) / std::sqrt(static_cast<double>(in))).to(device),
          torch::randn({bands, 1, out}).to(device)};
}

/// Relative error of the features of bands.
inline double band_features_error(const BandsCase& c, torch::Device device, torch::Dtype dtype) {
  const torch::NoGradGuard no_grad;
  std::vector<BandGroup> runs;
  int64_t values = 0;
  for (size_t r = 0; r < c.widths.size(); ++r) {
    runs.push_back(make_band_group(c.counts[r], c.widths[r], c.dim, device));
    values += c.counts[r] * c.widths[r];
  }
  const Tensor frames = torch::randn({c.batch, c.frames, values}).to(device) * 3;
  frames[0][0] = 0;  // silence
  const ResidualStream fused = fused_band_features(runs, dtype)->forward(frames);

  std::vector<Tensor> features;
  int64_t first = 0;
  for (size_t r = 0; r < runs.size(); ++r) {
    for (int64_t k = 0; k < c.counts[r]; ++k, first += c.widths[r])
      features.push_back(unit_norm(frames.narrow(2, first, c.widths[r])).matmul(runs[r].weight[k]) +
                         runs[r].bias[k][0]);
  }
  const Tensor plain = torch::stack(features, 2);
  return std::max({relative_error(fused.x, plain),
                   relative_error(fused.normed.xn.view(plain.sizes()), rms_norm(plain)),
                   relative_error(fused.normed.rms.view(plain.sizes().slice(0, 3)),
                                  plain.pow(2).mean(3).add(1e-5).sqrt())});
}

/// Relative error of masks.
inline double band_masks_error(const BandsCase& c, torch::Device device, torch::Dtype dtype) {
  const torch::NoGradGuard no_grad;
  int64_t K = 0;
  std::vector<BandGroup> out;
  for (size_t r = 0; r < c.widths.size(); ++r) {
    out.push_back(make_band_group(c.counts[r], c.hidden, 2 * c.widths[r], device));
    K += c.counts[r];
  }
  BandGroup hidden = make_band_group(K, c.dim, c.hidden, device);
  hidden.weight *= std::sqrt(static_cast<double>(c.dim));
  // As a stream asks for them: a part of the frames.
  const Tensor x = torch::randn({c.batch, c.frames + 2, K, c.dim}).to(device).narrow(1, 1, c.frames) * 5;
  const Tensor fused = fused_band_masks(hidden, out, dtype)->forward(x);

  const Tensor rows = unit_norm(x);
  std::vector<Tensor> masks;
  int64_t band = 0;
  for (size_t r = 0; r < out.size(); ++r) {
    for (int64_t k = 0; k < c.counts[r]; ++k, ++band) {
      const Tensor h = (rows.select(2, band).matmul(hidden.weight[band]) + hidden.bias[band][0]).tanh();
      masks.push_back(torch::glu(h.matmul(out[r].weight[k]) + out[r].bias[k][0], -1));
    }
  }
  return relative_error(fused, torch::cat(masks, 2));
}

}  // namespace bsm::testing
