// The fused CPU mixer core against a scalar recurrence in double, on every instruction set this processor
// has.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"
#include "nn/cpu/mixer_cpu.h"
#include "nn/cpu/mixer_kernel.h"

namespace bsm {
namespace {

using at::Tensor;

struct Case {
  int64_t outer, length, inner, d_inner, head_dim, state, conv_width;
};

MixerSizes sizes_of(const Case& c) { return {c.d_inner, c.state, c.head_dim, c.conv_width}; }

MixerWeights random_weights(const MixerSizes& s) {
  return {at::randn({s.conv_channels(), s.conv_width}) * 0.5,
          at::randn({s.conv_channels()}) * 0.2,
          at::randn({s.heads()}) - 2.0,
          at::rand({s.heads()}) * 2.8,
          at::randn({s.heads()}),
          at::rand({s.d_inner}) + 0.5};
}

MixerState random_state(const Case& c) {
  const MixerSizes s = sizes_of(c);
  const int64_t S = c.outer * c.inner;
  return {at::randn({S, s.conv_width - 1, s.conv_channels()}),
          at::randn({S, s.heads(), s.head_dim, s.state})};
}

// docs/network.md "Mamba2 mixer", one number at a time. All tensors double and contiguous.
Tensor reference(const Tensor& input, const MixerWeights& weights, const MixerSizes& s, Direction direction,
                 MixerState* state, int64_t state_at) {
  const Tensor in = input.to(at::kDouble).contiguous();
  const int64_t outer = in.size(0), L = in.size(1), inner = in.size(2), W = s.conv_width, N = s.state,
                P = s.head_dim, channels = s.conv_channels();
  const auto u = in.accessor<double, 4>();
  const Tensor conv_w = weights.conv_weight.to(at::kDouble), conv_b = weights.conv_bias.to(at::kDouble);
  const Tensor bias = weights.dt_bias.to(at::kDouble), A_log = weights.A_log.to(at::kDouble);
  const Tensor D = weights.D.to(at::kDouble), gamma = weights.norm_weight.to(at::kDouble);
  const auto cw = conv_w.accessor<double, 2>();
  const auto cb = conv_b.accessor<double, 1>(), b = bias.accessor<double, 1>(),
             al = A_log.accessor<double, 1>(), d = D.accessor<double, 1>(), g = gamma.accessor<double, 1>();
  const auto silu = [](double v) { return v / (1.0 + std::exp(-v)); };

  Tensor out = at::zeros({outer, L, inner, s.d_inner}, at::kDouble);
  auto y = out.accessor<double, 4>();
  Tensor conv_state = at::zeros({outer * inner, W - 1, channels}, at::kDouble);
  Tensor ssm_state = at::zeros({outer * inner, s.heads(), P, N}, at::kDouble);
  if (state && state->conv.defined()) conv_state.copy_(state->conv);
  if (state && state->ssm.defined()) ssm_state.copy_(state->ssm);
  Tensor conv_after = conv_state.clone(), ssm_after = ssm_state.clone();
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

// Largest difference in units of the largest expected magnitude.
double relative_error(const Tensor& found, const Tensor& expected) {
  if (expected.numel() == 0) return found.sizes() == expected.sizes() ? 0.0 : 1.0;
  const double scale = expected.abs().max().item<double>();
  return (found.to(at::kDouble) - expected).abs().max().item<double>() / (scale > 0.0 ? scale : 1.0);
}

constexpr double kTolerance = 1e-5;

class MixerCpu : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    at::manual_seed(7);
    force_cpu_level(available_cpu_kernels()[GetParam()].level);
  }
  void TearDown() override { force_cpu_level(std::nullopt); }

  static void check(const Case& c, Direction direction) {
    const MixerSizes s = sizes_of(c);
    const Tensor input = at::randn({c.outer, c.length, c.inner, s.in_proj_width()});
    const MixerWeights w = random_weights(s);
    const Tensor found = mixer_core_cpu(input, w, s, direction, nullptr, 0);
    EXPECT_TRUE(found.is_contiguous());
    EXPECT_LE(relative_error(found, reference(input, w, s, direction, nullptr, 0)), kTolerance)
        << "length " << c.length << " outer " << c.outer << " inner " << c.inner << " d_inner " << c.d_inner
        << " P " << c.head_dim << " N " << c.state << " width " << c.conv_width << " backward "
        << (direction == Direction::kBackward);
  }
};

TEST_P(MixerCpu, EqualsTheRecurrenceAtEveryLength) {
  for (int64_t length : {0, 1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 130, 257, 300})
    for (Direction direction : {Direction::kForward, Direction::kBackward})
      check({1, length, 2, 64, 32, 16, 4}, direction);
}

TEST_P(MixerCpu, EqualsTheRecurrenceAtTheUsualSizes) {
  check({3, 40, 1, 192, 64, 64, 4}, Direction::kForward);    // bands of the small model
  check({1, 50, 3, 192, 64, 64, 4}, Direction::kBackward);   // time
  check({2, 62, 1, 1024, 64, 128, 4}, Direction::kForward);  // bands of the published network
}

TEST_P(MixerCpu, EqualsTheRecurrenceAtOddSizes) {
  for (Direction direction : {Direction::kForward, Direction::kBackward}) {
    check({2, 21, 3, 15, 5, 3, 4}, direction);
    check({2, 21, 1, 40, 20, 33, 3}, direction);
    check({1, 21, 2, 24, 24, 17, 1}, direction);
    check({1, 21, 2, 1, 1, 1, 7}, direction);
    check({0, 5, 2, 32, 16, 16, 4}, direction);
    check({2, 5, 0, 32, 16, 16, 4}, direction);
  }
}

TEST_P(MixerCpu, TakesRowsThatAreSlicesOfAWiderTensor) {
  const Case c{2, 19, 3, 64, 32, 16, 4};
  const MixerSizes s = sizes_of(c);
  const MixerWeights w = random_weights(s);
  const int64_t E = s.in_proj_width();
  const Tensor wide = at::randn({c.inner, c.outer, c.length, 2 * E + 1});
  const Tensor slice = wide.permute({1, 2, 0, 3}).slice(3, E + 1, 2 * E + 1);
  ASSERT_FALSE(slice.is_contiguous());
  for (Direction direction : {Direction::kForward, Direction::kBackward})
    EXPECT_LE(relative_error(mixer_core_cpu(slice, w, s, direction, nullptr, 0),
                             reference(slice, w, s, direction, nullptr, 0)),
              kTolerance);
}

TEST_P(MixerCpu, ContinuesAStateAndLeavesTheOneAfterStateAt) {
  for (const Case& c : {Case{1, 50, 2, 64, 32, 16, 4}, Case{2, 3, 1, 64, 64, 64, 4},
                        Case{1, 150, 1, 30, 10, 7, 6}, Case{1, 9, 2, 32, 16, 16, 1}}) {
    const MixerSizes s = sizes_of(c);
    const MixerWeights w = random_weights(s);
    const Tensor input = at::randn({c.outer, c.length, c.inner, s.in_proj_width()});
    for (int64_t state_at : {int64_t{0}, int64_t{1}, c.length / 2, c.length - 1, c.length}) {
      for (bool with_past : {false, true}) {
        MixerState found = with_past ? random_state(c) : MixerState{};
        const MixerState before = found;
        const Tensor ssm_before = found.ssm.defined() ? found.ssm.clone() : Tensor();
        MixerState expected = found;
        const Tensor y = mixer_core_cpu(input, w, s, Direction::kForward, &found, state_at);
        EXPECT_LE(relative_error(y, reference(input, w, s, Direction::kForward, &expected, state_at)),
                  kTolerance)
            << c.length << " " << state_at << " " << with_past;
        if (state_at == 0 && !with_past) {
          EXPECT_FALSE(found.ssm.defined());
          continue;
        }
        EXPECT_LE(relative_error(found.ssm, expected.ssm), kTolerance) << c.length << " " << state_at;
        EXPECT_LE(relative_error(found.conv, expected.conv), 0.0) << c.length << " " << state_at;
        if (with_past) {
          EXPECT_TRUE(at::equal(before.ssm, ssm_before)) << "a copy of the state was overwritten";
        }
      }
    }
  }
}

TEST_P(MixerCpu, PiecesWithCarriedStateEqualTheWhole) {
  const Case c{1, 90, 2, 192, 64, 64, 4};
  const MixerSizes s = sizes_of(c);
  const MixerWeights w = random_weights(s);
  const Tensor input = at::randn({c.outer, c.length, c.inner, s.in_proj_width()});
  const Tensor whole = mixer_core_cpu(input, w, s, Direction::kForward, nullptr, 0);
  MixerState state;
  std::vector<Tensor> pieces;
  for (int64_t begin = 0; begin < c.length; begin += 30) {
    // 30 new elements and, but for the last piece, 10 more that the state must not include.
    const int64_t end = std::min(begin + 40, c.length);
    const Tensor y = mixer_core_cpu(input.slice(1, begin, end), w, s, Direction::kForward, &state, 30);
    pieces.push_back(y.slice(1, 0, 30));
  }
  EXPECT_LE(relative_error(at::cat(pieces, 1), whole.to(at::kDouble)), kTolerance);
}

TEST_P(MixerCpu, KeepsItsPrecisionForSlowAndForVeryFastDecays) {
  const Case c{1, 200, 1, 64, 64, 64, 4};
  const MixerSizes s = sizes_of(c);
  for (double dt_bias : {-9.0, 10.0}) {
    for (double A_log : {0.0, 2.77}) {
      MixerWeights w = random_weights(s);
      w.dt_bias.fill_(dt_bias);
      w.A_log.fill_(A_log);
      const Tensor input = at::randn({1, c.length, 1, s.in_proj_width()});
      EXPECT_LE(relative_error(mixer_core_cpu(input, w, s, Direction::kForward, nullptr, 0),
                               reference(input, w, s, Direction::kForward, nullptr, 0)),
                kTolerance)
          << dt_bias << " " << A_log;
    }
  }
}

TEST_P(MixerCpu, ThreadsDoNotChangeTheResult) {
  const Case c{3, 33, 11, 64, 32, 16, 4};
  const MixerSizes s = sizes_of(c);
  const MixerWeights w = random_weights(s);
  const Tensor input = at::randn({c.outer, c.length, c.inner, s.in_proj_width()});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Tensor one = mixer_core_cpu(input, w, s, Direction::kForward, nullptr, 0);
  at::set_num_threads(3);
  const Tensor three = mixer_core_cpu(input, w, s, Direction::kForward, nullptr, 0);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, three));
}

TEST_P(MixerCpu, ElementwiseFunctionsHoldTheirPrecision) {
  const CpuKernels& kernels = cpu_kernels();
  std::vector<float> xs;
  for (int i = 0; i <= 200000; ++i) xs.push_back(-87.0f + 175.0f * static_cast<float>(i) / 200000.0f);
  for (float tiny = 1e-30f; tiny < 1.0f; tiny *= 3.0f) xs.insert(xs.end(), {tiny, -tiny});
  xs.push_back(0.0f);
  const auto worst = [&](void (*function)(float*, int64_t), double (*exact)(double)) {
    std::vector<float> values = xs;
    function(values.data(), static_cast<int64_t>(values.size()));
    double error = 0.0;
    for (size_t i = 0; i < xs.size(); ++i) {
      const double expected = exact(xs[i]);
      if (std::abs(expected) < std::numeric_limits<float>::min()) continue;
      // Of what the reduction of the argument may lose.
      const double allowed = 4e-7 + 1.5e-8 * std::abs(xs[i]);
      error = std::max(error, std::abs(values[i] - expected) / std::abs(expected) / allowed);
    }
    return error;
  };
  EXPECT_LE(worst(kernels.exp, [](double x) { return std::exp(x); }), 1.0);
  EXPECT_LE(worst(kernels.silu, [](double x) { return x / (1.0 + std::exp(-x)); }), 1.0);
  EXPECT_LE(worst(kernels.softplus, [](double x) { return std::log1p(std::exp(x)); }), 1.0);

  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> extremes{-infinity, -1e30f, -200.0f, 200.0f, 1e30f, std::nanf("")};
  std::vector<float> e = extremes, sp = extremes, si = extremes;
  kernels.exp(e.data(), 6);
  kernels.softplus(sp.data(), 6);
  kernels.silu(si.data(), 6);
  for (int i : {0, 1, 2}) {
    EXPECT_GE(e[i], 0.0f);
    EXPECT_LT(e[i], 2e-38f);
    EXPECT_LT(sp[i], 2e-38f);
  }
  EXPECT_FLOAT_EQ(sp[3], 200.0f);
  EXPECT_FLOAT_EQ(sp[4], 1e30f);
  EXPECT_FLOAT_EQ(si[4], 1e30f);
  EXPECT_NEAR(si[2], 0.0f, 1e-35f);
  EXPECT_TRUE(std::isnan(si[5]));
}

INSTANTIATE_TEST_SUITE_P(Levels, MixerCpu,
                         ::testing::Range(0, static_cast<int>(available_cpu_kernels().size())),
                         [](const auto& info) {
                           return std::string(available_cpu_kernels()[info.param].name);
                         });

TEST(ChunkPlan, CoversTheSequenceAndCutsAtTheState) {
  for (int64_t length : {0, 1, 2, 50, 257, 800, 5000}) {
    for (int64_t state_at : {int64_t{0}, int64_t{1}, length / 2, length}) {
      if (state_at > length) continue;
      for (bool has_state : {false, true}) {
        const auto chunks = plan_chunks(length, 192, 64, has_state, state_at > 0, state_at);
        int64_t next = 0;
        bool cut = state_at == 0;
        for (const MixerChunk& chunk : chunks) {
          EXPECT_EQ(chunk.begin, next);
          EXPECT_GE(chunk.length, 1);
          EXPECT_EQ(chunk.reads_state, has_state || next > 0);
          next += chunk.length;
          EXPECT_EQ(chunk.writes_state, next < length || (state_at > 0 && next == state_at));
          cut = cut || next == state_at;
        }
        EXPECT_EQ(next, length);
        EXPECT_TRUE(cut) << length << " " << state_at;
      }
    }
  }
}

TEST(MixerCpuSupports, NeitherGradientsNorOtherTypes) {
  const MixerSizes s{32, 16, 16, 4};
  MixerWeights w = random_weights(s);
  const Tensor input = at::randn({1, 4, 1, s.in_proj_width()});
  EXPECT_TRUE(mixer_core_cpu_supports(input, w, s));
  EXPECT_FALSE(mixer_core_cpu_supports(input.to(at::kBFloat16), w, s));
  EXPECT_FALSE(mixer_core_cpu_supports(input.transpose(2, 3), w, s));
  w.D.requires_grad_();
  EXPECT_FALSE(mixer_core_cpu_supports(input, w, s));
  EXPECT_THROW(mixer_core_cpu(input, w, s, Direction::kForward, nullptr, 0), c10::Error);
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(mixer_core_cpu_supports(input, w, s));
  MixerState state;
  EXPECT_THROW(mixer_core_cpu(input, w, s, Direction::kBackward, &state, 0), c10::Error);
  EXPECT_THROW(mixer_core_cpu(input, w, s, Direction::kForward, &state, 5), c10::Error);
}

}  // namespace
}  // namespace bsm
