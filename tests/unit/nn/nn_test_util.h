// Shared by the tests of src/nn: small configurations, seeded values, distances.
#pragma once

#include <torch/torch.h>

#include <string>

#include "nn/config.h"
#include "nn/network.h"

namespace bsm {

/// 32 bins in six bands of four widths: quick, and with runs of equal and of unequal bands.
inline ModelConfig small_config(BlockKind kind = BlockKind::kMamba2) {
  ModelConfig config;
  config.kind = kind;
  config.dim = 12;
  config.depth = 2;
  config.mask_expand = 2;
  config.stft = {62, 62, 20};
  config.band_bins = {2, 2, 4, 4, 9, 11};
  config.stems = {"vocals"};
  config.mamba2 = {2, 6, 8, 4};
  config.transformer = {3, 4, 2};
  return config;
}

/// A network whose every parameter differs from its start value, so that no factor can be forgotten
/// unnoticed.
inline SeparationNetwork perturbed_network(const ModelConfig& config, uint64_t seed) {
  torch::manual_seed(seed);
  SeparationNetwork network(config);
  torch::NoGradGuard no_grad;
  for (auto& parameter : network->parameters()) parameter.add_(torch::randn_like(parameter), 0.2);
  network->eval();
  return network;
}

inline torch::Tensor random_frames(const ModelConfig& config, int64_t batch, int64_t frames) {
  return torch::randn({batch, frames, 2 * config.channels * config.stft.bins()});
}

/// Largest absolute difference over the largest absolute value of `expected` (taken as at least 1e-3).
inline double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  if (actual.sizes() != expected.sizes()) return INFINITY;
  const double scale = expected.abs().max().item<double>();
  const double error = (actual.to(torch::kFloat64) - expected.to(torch::kFloat64)).abs().max().item<double>();
  return error / std::max(scale, 1e-3);
}

}  // namespace bsm
