#include <torch/torch.h>

#include "nn/mixer.h"
#include "nn/scan.h"
#include "nn/stages.h"

namespace bsm {

using torch::Tensor;

namespace {

constexpr double kNormEps = 1e-5;

/// The scan with the state after `state_at` elements left in `state`.
Tensor scan_with_state(const ScanInput& input, MixerState& state, int64_t state_at) {
  const int64_t L = input.x.size(1);
  const auto part = [&](int64_t begin, int64_t end, const Tensor& initial) {
    return scan_chunked({input.x.slice(1, begin, end), input.dt.slice(1, begin, end), input.A,
                         input.B.slice(1, begin, end), input.C.slice(1, begin, end), initial});
  };
  std::vector<Tensor> y;
  if (state_at > 0) {
    const ScanOutput past = part(0, state_at, input.initial_state);
    y.push_back(past.y);
    state.ssm = past.final_state;
  }
  if (state_at < L) y.push_back(part(state_at, L, state.ssm).y);
  return torch::cat(y, 1);
}

}  // namespace

Tensor mixer_core_plain(const Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes,
                        Direction direction, MixerState* state, int64_t state_at) {
  TORCH_CHECK(zxbcdt.dim() == 4 && zxbcdt.size(3) == sizes.in_proj_width(),
              "mixer core: expected an input of [outer, L, inner, ", sizes.in_proj_width(), "], got ",
              zxbcdt.sizes());
  TORCH_CHECK(state == nullptr || direction == Direction::kForward,
              "mixer core: only a forward scan keeps a state");
  const int64_t outer = zxbcdt.size(0), L = zxbcdt.size(1), inner = zxbcdt.size(2), S = outer * inner;
  const int64_t H = sizes.heads(), P = sizes.head_dim, N = sizes.state, d_inner = sizes.d_inner;
  const bool backward = direction == Direction::kBackward;
  const auto dtype = zxbcdt.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;

  Tensor in = zxbcdt.permute({0, 2, 1, 3}).reshape({S, L, sizes.in_proj_width()}).to(dtype);
  if (backward) in = in.flip(1);
  const auto parts = in.split_with_sizes({d_inner, sizes.conv_channels(), H}, 2);
  const Tensor& z = parts[0];
  const Tensor& u = parts[1];  // [x | B | C] before the convolution

  const Tensor conv_before = state != nullptr ? state->conv : Tensor();
  const Tensor xbc = torch::silu(causal_conv(u, weights.conv_weight, weights.conv_bias, conv_before).y);
  const auto convolved = xbc.split_with_sizes({d_inner, N, N}, 2);
  const Tensor x = convolved[0].reshape({S, L, H, P});
  const Tensor dt = torch::softplus(parts[2] + weights.dt_bias);  // [S, L, H]
  ScanInput scan{
      x, dt, -weights.A_log.exp(), convolved[1], convolved[2], state != nullptr ? state->ssm : Tensor()};

  Tensor y;  // [S, L, H, P]
  if (state == nullptr) {
    y = scan_chunked(scan).y;
  } else {
    y = scan_with_state(scan, *state, state_at);
    if (state_at > 0) {
      const Tensor before = conv_before.defined()
                                ? conv_before
                                : torch::zeros({S, sizes.conv_width - 1, sizes.conv_channels()}, u.options());
      state->conv = torch::cat({before, u.slice(1, 0, state_at)}, 1).slice(1, state_at).contiguous();
    }
  }
  stage_done(Stage::kConvScan);
  y = (y + weights.D.unsqueeze(1) * x).reshape({S, L, d_inner}) * torch::silu(z);
  y = y * torch::rsqrt(y.square().mean(-1, true) + kNormEps) * weights.norm_weight;
  if (backward) y = y.flip(1);
  y = y.to(zxbcdt.scalar_type()).view({outer, inner, L, d_inner}).transpose(1, 2).contiguous();
  stage_done(Stage::kGateNorm);
  return y;
}

}  // namespace bsm
