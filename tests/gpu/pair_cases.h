// Inputs for a block of two fused mixers and its comparison with plain operators, shared by the tests that
// run the kernels on a GPU and those that emulate them.
#pragma once

#include "mixer_cases.h"
#include "nn/blocks.h"
#include "nn/cuda/pair_fused.h"

namespace bsm::testing {

struct PairCase {
  int64_t outer, length, inner, dim;
  MixerSizes sizes;
  bool both_directions = true;
  int64_t slice_bytes = kPairSliceBytes;
};

inline void PrintTo(const PairCase& c, std::ostream* out) {
  *out << describe({c.outer, c.length, c.inner, c.sizes}) << " dim " << c.dim
       << (c.both_directions ? " both ways" : " one way") << " slices of " << c.slice_bytes;
}

/// float32, with values that the 16-bit type holds exactly where the kernels multiply with 16 bits.
inline PairWeights make_pair_weights(const PairCase& c, torch::Device device) {
  const int64_t E = c.sizes.in_proj_width(), directions = c.both_directions ? 2 : 1;
  const auto matrix = [&](int64_t rows, int64_t columns) {
    return (torch::randn({rows, columns}) / std::sqrt(static_cast<double>(rows))).to(device);
  };
  PairWeights w;
  w.in = matrix(c.dim, directions * E);
  w.residual = matrix(c.dim, c.dim) * 0.3;
  w.bias = torch::randn({c.dim}).to(device);
  w.out_f = matrix(c.sizes.d_inner, c.dim);
  w.core_f = make_weights(c.sizes, device);
  if (c.both_directions) {
    w.out_b = matrix(c.sizes.d_inner, c.dim);
    w.core_b = make_weights(c.sizes, device);
  }
  return w;
}

/// What the block adds to x, in float32 and plain operators.
inline Tensor plain_change(const Tensor& x, const PairWeights& w, const MixerSizes& sizes,
                           MixerState* state = nullptr, int64_t state_at = 0) {
  const int64_t E = sizes.in_proj_width();
  const Tensor zxbcdt = rms_norm(x).matmul(w.in);
  Tensor y = w.bias + x.matmul(w.residual) +
             mixer_core_plain(zxbcdt.narrow(3, 0, E), w.core_f, sizes, Direction::kForward, state, state_at)
                 .matmul(w.out_f);
  if (w.both_directions())
    y = y + mixer_core_plain(zxbcdt.narrow(3, E, E), w.core_b, sizes, Direction::kBackward).matmul(w.out_b);
  return y;
}

/// Relative error of the change, the weights rounded to `dtype` for both.
inline double pair_error(const PairCase& c, torch::Device device, torch::Dtype dtype) {
  const torch::NoGradGuard no_grad;
  const PairWeights w = make_pair_weights(c, device);
  const Tensor x = torch::randn({c.outer, c.length, c.inner, c.dim}).to(device) * 3;
  const PairWeightsCuda prepared = pair_weights_cuda(w, c.sizes, dtype);
  const ResidualStream y = pair_block_fused({x, {}}, prepared, nullptr, 0, c.slice_bytes);
  const double error = relative_error(y.x - x, plain_change(x, w, c.sizes));
  if (!y.normed.xn.defined()) return error;
  // What the block knows of its result helps the next.
  const Tensor once = pair_block_fused({y.x, {}}, prepared, nullptr, 0, c.slice_bytes).x,
               helped = pair_block_fused(y, prepared, nullptr, 0, c.slice_bytes).x;
  return std::max(
      {error, relative_error(y.normed.xn.view(x.sizes()).to(torch::kFloat32), rms_norm(y.x)),
       relative_error(y.normed.rms.view({c.outer, c.length, c.inner}), y.x.pow(2).mean(3).add(1e-5).sqrt()),
       relative_error(helped - y.x, once - y.x)});
}

/// Relative error of the input projection by launch_pair_project(), which must write nothing else.
/// @param width  of a slab: a multiple of 64, at least 192
inline double projection_error(int64_t tokens, int64_t width, int directions, torch::Device device,
                               torch::Dtype dtype) {
  kernels::PairShape shape;
  shape.scalar = dtype == torch::kFloat16 ? kernels::Scalar::kFloat16 : kernels::Scalar::kBfloat16;
  shape.directions = directions;
  shape.outer = tokens, shape.inner = 1, shape.length = 1;
  shape.dim = 256;
  shape.d_inner = shape.head_dim = 32;
  shape.state = static_cast<int>(width - 128) / 2 + 16;
  TORCH_CHECK(shape.slab() == width);
  const Tensor xn = torch::randn({tokens, shape.dim}).to(device, dtype),
               weights = (torch::randn({directions * width, shape.dim}) / 16).to(device, dtype),
               projected = torch::full({tokens + 2, directions * width}, 7,
                                       torch::TensorOptions(device).dtype(dtype));
  const cudaError_t error = kernels::launch_pair_project(shape, xn.data_ptr(), weights.data_ptr(),
                                                         projected[1].data_ptr(), current_stream(xn));
  TORCH_CHECK(error == cudaSuccess, cudaGetErrorString(error));
  const bool kept = projected[0].eq(7).all().item<bool>() && projected[tokens + 1].eq(7).all().item<bool>();
  const Tensor reference = xn.to(torch::kFloat32).matmul(weights.to(torch::kFloat32).t());
  return kept ? relative_error(projected.narrow(0, 1, tokens), reference) : INFINITY;
}

/// The worst error of output and states over pieces of a stream whose state is taken at each of `at`.
inline double pair_stream_error(const PairCase& c, torch::Device device, torch::Dtype dtype,
                                const std::vector<int64_t>& at) {
  const torch::NoGradGuard no_grad;
  const PairWeights w = make_pair_weights(c, device);
  const PairWeightsCuda prepared = pair_weights_cuda(w, c.sizes, dtype);
  MixerState fused, plain;
  double worst = 0;
  for (const int64_t taken : at) {
    const Tensor x = torch::randn({c.outer, c.length, c.inner, c.dim}).to(device) * 3;
    const Tensor y = pair_block_fused({x, {}}, prepared, &fused, taken).x;
    worst = std::max(worst, relative_error(y - x, plain_change(x, w, c.sizes, &plain, taken)));
    if (taken == 0) continue;
    worst = std::max({worst, relative_error(fused.ssm, plain.ssm), relative_error(fused.conv, plain.conv)});
  }
  return worst;
}

}  // namespace bsm::testing
