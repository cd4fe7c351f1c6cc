// Inputs for the fused mixer core and its comparison with the plain one, shared by the tests that run the
// kernels on a GPU and those that emulate them.
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "nn/cuda/mixer_fused.h"
#include "nn/mixer.h"

namespace bsm::testing {

using torch::Tensor;

struct MixerCase {
  int64_t outer, length, inner;
  MixerSizes sizes;  // d_inner, N, P, width
  Direction direction = Direction::kForward;
  /// Columns before and after zxbcdt in the tensor that it is a slice of.
  int64_t before = 0, after = 0;
};

inline std::string describe(const MixerCase& c) {
  std::string text = "[" + std::to_string(c.outer) + ", " + std::to_string(c.length) + ", " +
                     std::to_string(c.inner) + "] d_inner " + std::to_string(c.sizes.d_inner) + " N " +
                     std::to_string(c.sizes.state) + " P " + std::to_string(c.sizes.head_dim) + " width " +
                     std::to_string(c.sizes.conv_width) + " before " + std::to_string(c.before) + " after " +
                     std::to_string(c.after);
  return text + (c.direction == Direction::kBackward ? " backward" : " forward");
}

/// How GoogleTest names a case.
inline void PrintTo(const MixerCase& c, std::ostream* out) { *out << describe(c); }

inline Tensor make_input(const MixerCase& c, torch::Device device, torch::Dtype dtype) {
  const int64_t E = c.sizes.in_proj_width();
  const Tensor wide = torch::randn({c.outer, c.length, c.inner, c.before + E + c.after}).to(dtype);
  return wide.to(device).narrow(3, c.before, E);
}

/// Weights in the ranges that training starts from: time constants from a tenth of an element to a thousand.
inline MixerWeights make_weights(const MixerSizes& sizes, torch::Device device) {
  const int64_t H = sizes.heads(), channels = sizes.conv_channels();
  const Tensor dt = torch::exp(torch::empty({H}).uniform_(std::log(1e-3), std::log(1e-1)));
  return {(torch::randn({channels, sizes.conv_width}) * 0.5).to(device),
          (torch::randn({channels}) * 0.2).to(device),
          (dt + torch::log(-torch::expm1(-dt))).to(device),
          torch::log(torch::empty({H}).uniform_(1, 16)).to(device),
          torch::randn({H}).to(device),
          (1 + 0.2 * torch::randn({sizes.d_inner})).to(device)};
}

inline std::vector<Tensor*> tensors_of(MixerWeights& w) {
  return {&w.conv_weight, &w.conv_bias, &w.dt_bias, &w.A_log, &w.D, &w.norm_weight};
}

inline const std::vector<std::string>& gradient_names() {
  static const std::vector<std::string> names = {
      "z", "x", "B", "C", "dt", "conv_weight", "conv_bias", "dt_bias", "A_log", "D", "norm_weight"};
  return names;
}

/// Largest and mean-square error, each relative to the reference's; the larger of the two.
inline double relative_error(const Tensor& value, const Tensor& reference) {
  const Tensor v = value.to(torch::kFloat64), r = reference.to(torch::kFloat64);
  const double largest = (v - r).abs().max().item<double>() / (r.abs().max().item<double>() + 1e-30);
  const double norm = (v - r).norm().item<double>() / (r.norm().item<double>() + 1e-30);
  return std::isnan(norm) ? INFINITY : std::max(largest, norm);
}

/// Output and gradients (order of gradient_names()) of sum(core(...) * d_out).
template <typename Core>
std::vector<Tensor> run_with_gradients(const MixerCase& c, const Tensor& input, const MixerWeights& weights,
                                       const Tensor& d_out, Core core) {
  const Tensor in = input.detach().requires_grad_();
  MixerWeights w = weights;
  for (Tensor* tensor : tensors_of(w)) *tensor = tensor->detach().clone().requires_grad_();
  const Tensor out = core(in, w, c.sizes, c.direction, nullptr, 0);
  (out.to(torch::kFloat32) * d_out).sum().backward();
  std::vector<Tensor> results = {out.detach()};
  const auto& s = c.sizes;
  for (const Tensor& part :
       in.grad().split_with_sizes({s.d_inner, s.d_inner, s.state, s.state, s.heads()}, 3))
    results.push_back(part);
  for (Tensor* tensor : tensors_of(w)) results.push_back(tensor->grad());
  return results;
}

/// The relative error of output and gradients of `core` with inputs in `dtype`; the plain core gets the same
/// (rounded) inputs in float32. First the output's, then the gradients'.
template <typename Core>
std::vector<double> errors_against_plain(const MixerCase& c, torch::Device device, torch::Dtype dtype,
                                         Core core) {
  const Tensor input = make_input(c, device, dtype);
  const MixerWeights weights = make_weights(c.sizes, device);
  const Tensor d_out =
      torch::randn({c.outer, c.length, c.inner, c.sizes.d_inner}).to(dtype).to(device).to(torch::kFloat32);
  const auto plain = run_with_gradients(c, input.to(torch::kFloat32), weights, d_out, mixer_core_plain);
  const auto fused = run_with_gradients(c, input, weights, d_out, core);
  std::vector<double> errors;
  for (size_t i = 0; i < plain.size(); ++i) errors.push_back(relative_error(fused[i], plain[i]));
  return errors;
}

/// Relative error of the float32 output at inference, with or without LibTorch's leave to multiply in TF32.
inline double inference_error(const MixerCase& c, torch::Device device, bool tf32) {
  const torch::NoGradGuard no_grad;
  const MixerWeights w = make_weights(c.sizes, device);
  const Tensor in = make_input(c, device, torch::kFloat32);
  const Tensor plain = mixer_core_plain(in, w, c.sizes, c.direction);
  at::globalContext().setAllowTF32CuBLAS(tf32);
  const Tensor fused = mixer_core_fused(in, w, c.sizes, c.direction, nullptr, 0);
  at::globalContext().setAllowTF32CuBLAS(false);
  return relative_error(fused, plain);
}

}  // namespace bsm::testing
