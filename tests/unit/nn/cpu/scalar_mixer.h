// The mixer core as a scalar recurrence in double, one number at a time (nn/mixer.h): what the fused
// operators are held to.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "nn/mixer.h"

namespace bsm {

/// Contract of mixer_core(), in double whatever the input is.
inline at::Tensor scalar_mixer_core(const at::Tensor& input, const MixerWeights& weights, const MixerSizes& s,
                                    Direction direction, MixerState* state, int64_t state_at) {
  const at::Tensor in = input.to(at::kDouble).contiguous();
  const int64_t outer = in.size(0), L = in.size(1), inner = in.size(2), W = s.conv_width, N = s.state,
                P = s.head_dim, channels = s.conv_channels();
  const auto u = in.accessor<double, 4>();
  const at::Tensor conv_w = weights.conv_weight.to(at::kDouble), conv_b = weights.conv_bias.to(at::kDouble);
  const at::Tensor bias = weights.dt_bias.to(at::kDouble), A_log = weights.A_log.to(at::kDouble);
  const at::Tensor D = weights.D.to(at::kDouble), gamma = weights.norm_weight.to(at::kDouble);
  const auto cw = conv_w.accessor<double, 2>();
  const auto cb = conv_b.accessor<double, 1>(), b = bias.accessor<double, 1>(),
             al = A_log.accessor<double, 1>(), d = D.accessor<double, 1>(), g = gamma.accessor<double, 1>();
  const auto silu = [](double v) { return v / (1.0 + std::exp(-v)); };

  at::Tensor out = at::zeros({outer, L, inner, s.d_inner}, at::kDouble);
  auto y = out.accessor<double, 4>();
  at::Tensor conv_state = at::zeros({outer * inner, W - 1, channels}, at::kDouble);
  at::Tensor ssm_state = at::zeros({outer * inner, s.heads(), P, N}, at::kDouble);
  if (state && state->conv.defined()) conv_state.copy_(state->conv);
  if (state && state->ssm.defined()) ssm_state.copy_(state->ssm);
  at::Tensor conv_after = conv_state.clone(), ssm_after = ssm_state.clone();
  const auto past_of = conv_state.accessor<double, 3>();
  auto kept_of = conv_after.accessor<double, 3>();
  auto h_of = ssm_state.accessor<double, 4>();
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t sequence = o * inner + i;
      const auto past = past_of[sequence];
      auto h = h_of[sequence];
      const auto at = [&](int64_t t) { return direction == Direction::kBackward ? L - 1 - t : t; };
      const auto conv_input = [&](int64_t t, int64_t c) {
        return t >= 0 ? u[o][at(t)][i][s.d_inner + c] : past[t + W - 1][c];
      };
      for (int64_t t = 0; t <= L; ++t) {
        if (t == state_at) {
          ssm_after[sequence].copy_(ssm_state[sequence]);
          auto kept = kept_of[sequence];
          for (int64_t k = 0; k < W - 1; ++k)
            for (int64_t c = 0; c < channels; ++c) kept[k][c] = conv_input(t - (W - 1) + k, c);
        }
        if (t == L) break;
        std::vector<double> xbc(channels);
        for (int64_t c = 0; c < channels; ++c) {
          double v = cb[c];
          for (int64_t k = 0; k < W; ++k) v += cw[c][k] * conv_input(t - (W - 1) + k, c);
          xbc[c] = silu(v);
        }
        const auto row = u[o][at(t)][i];
        auto y_row = y[o][at(t)][i];
        double squares = 0.0;
        for (int64_t head = 0; head < s.heads(); ++head) {
          const double dt = std::log1p(std::exp(row[2 * s.d_inner + 2 * N + head] + b[head]));
          const double decay = std::exp(-std::exp(al[head]) * dt);
          for (int64_t p = 0; p < P; ++p) {
            const int64_t c = head * P + p;
            double sum = d[head] * xbc[c];
            for (int64_t n = 0; n < N; ++n) {
              h[head][p][n] = decay * h[head][p][n] + dt * xbc[c] * xbc[s.d_inner + n];
              sum += h[head][p][n] * xbc[s.d_inner + N + n];
            }
            y_row[c] = sum * silu(row[c]);
            squares += y_row[c] * y_row[c];
          }
        }
        const double scale = 1.0 / std::sqrt(squares / static_cast<double>(s.d_inner) + 1e-5);
        for (int64_t c = 0; c < s.d_inner; ++c) y_row[c] *= scale * g[c];
      }
    }
  }
  if (state) *state = {conv_after, ssm_after};
  return out;
}

}  // namespace bsm
