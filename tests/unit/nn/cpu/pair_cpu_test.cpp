// The fused CPU block of two mixers against a scalar recurrence in double, on every instruction set this
// processor has.
#include "nn/cpu/pair_cpu.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <string>
#include <vector>

#include "nn/cpu/cpu_level.h"
#include "scalar_mixer.h"

namespace bsm {
namespace {

using torch::Tensor;

struct Case {
  int64_t outer, length, inner, dim;
  MixerSizes sizes;
  bool both_directions = true;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.outer << " x " << c.length << " x " << c.inner << ", D " << c.dim << ", d_inner "
             << c.sizes.d_inner << ", P " << c.sizes.head_dim << ", N " << c.sizes.state << ", width "
             << c.sizes.conv_width << (c.both_directions ? ", both ways" : ", one way");
}

MixerWeights random_core(const MixerSizes& s) {
  return {torch::randn({s.conv_channels(), s.conv_width}) * 0.5,
          torch::randn({s.conv_channels()}) * 0.2,
          torch::randn({s.heads()}) - 2.0,
          torch::rand({s.heads()}) * 2.8,
          torch::randn({s.heads()}),
          torch::rand({s.d_inner}) + 0.5};
}

PairWeights random_weights(const Case& c) {
  const auto matrix = [](int64_t rows, int64_t columns) {
    return torch::randn({rows, columns}) / std::sqrt(static_cast<double>(rows));
  };
  PairWeights w;
  w.in = matrix(c.dim, (c.both_directions ? 2 : 1) * c.sizes.in_proj_width());
  w.residual = matrix(c.dim, c.dim) * 0.3;
  w.bias = torch::randn({c.dim});
  w.out_f = matrix(c.sizes.d_inner, c.dim);
  w.core_f = random_core(c.sizes);
  if (c.both_directions) {
    w.out_b = matrix(c.sizes.d_inner, c.dim);
    w.core_b = random_core(c.sizes);
  }
  return w;
}

MixerState random_state(const Case& c) {
  const MixerSizes& s = c.sizes;
  const int64_t S = c.outer * c.inner;
  return {torch::randn({S, s.conv_width - 1, s.conv_channels()}),
          torch::randn({S, s.heads(), s.head_dim, s.state})};
}

Tensor random_stream(const Case& c) { return torch::randn({c.outer, c.length, c.inner, c.dim}) * 3; }

/// What the block adds to x, in double.
Tensor expected_change(const Tensor& x_float, const PairWeights& w, const MixerSizes& sizes,
                       MixerState* state = nullptr, int64_t state_at = 0) {
  const auto wide = [](const Tensor& t) { return t.to(torch::kFloat64); };
  const Tensor x = wide(x_float);
  const int64_t E = sizes.in_proj_width();
  const Tensor normed = x * torch::rsqrt(x.square().mean(-1, true) + 1e-5);
  const Tensor rows = normed.matmul(wide(w.in));
  Tensor y = wide(w.bias) + x.matmul(wide(w.residual)) +
             scalar_mixer_core(rows.narrow(3, 0, E), w.core_f, sizes, Direction::kForward, state, state_at)
                 .matmul(wide(w.out_f));
  if (w.both_directions())
    y = y + scalar_mixer_core(rows.narrow(3, E, E), w.core_b, sizes, Direction::kBackward, nullptr, 0)
                .matmul(wide(w.out_b));
  return y;
}

Tensor fused_change(const Tensor& x, const PairWeightsCpu& weights, MixerState* state = nullptr,
                    int64_t state_at = 0) {
  const Tensor y = x.clone();
  pair_block_cpu(y, weights, state, state_at);
  return y - x;
}

// Largest difference in units of the largest expected magnitude.
double relative_error(const Tensor& found, const Tensor& expected) {
  if (found.sizes() != expected.sizes()) return INFINITY;
  if (expected.numel() == 0) return 0.0;
  const double scale = expected.abs().max().item<double>();
  return (found.to(torch::kFloat64) - expected).abs().max().item<double>() / (scale > 0.0 ? scale : 1.0);
}

constexpr double kTolerance = 2e-5;

class PairCpu : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    torch::manual_seed(7);
    force_cpu_level(available_cpu_kernels()[GetParam()].level);
  }
  void TearDown() override { force_cpu_level(std::nullopt); }

  static void check(const Case& c) {
    const torch::NoGradGuard no_grad;
    const PairWeights w = random_weights(c);
    const Tensor x = random_stream(c);
    const Tensor found = fused_change(x, *prepare_pair_cpu(w, c.sizes, torch::kFloat32));
    EXPECT_LE(relative_error(found, expected_change(x, w, c.sizes)), kTolerance) << c;
  }
};

TEST_P(PairCpu, EqualsTheRecurrenceAtEveryLength) {
  for (int64_t length : {0, 1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 130, 257, 300})
    for (bool both : {true, false}) check({1, length, 2, 16, {64, 16, 32, 4}, both});
}

TEST_P(PairCpu, EqualsTheRecurrenceAtTheUsualSizes) {
  check({5, 40, 1, 96, {192, 64, 64, 4}});     // bands of the small model
  check({1, 50, 3, 96, {192, 64, 64, 4}});     // time
  check({2, 62, 1, 256, {1024, 128, 64, 4}});  // bands of the published network
}

TEST_P(PairCpu, EqualsTheRecurrenceAtOddSizes) {
  for (bool both : {true, false}) {
    check({2, 21, 3, 7, {15, 3, 5, 4}, both});
    check({2, 21, 1, 33, {40, 33, 20, 3}, both});
    check({1, 21, 2, 17, {24, 17, 24, 1}, both});
    check({1, 21, 2, 1, {1, 1, 1, 7}, both});
    check({0, 5, 2, 16, {32, 16, 16, 4}, both});
    check({2, 5, 0, 16, {32, 16, 16, 4}, both});
    check({130, 1, 3, 16, {32, 16, 16, 4}, both});  // more than one slice of the shortest sequences
  }
}

TEST_P(PairCpu, EqualsTheRecurrenceAtRandomSizes) {
  const auto draw = [](int64_t low, int64_t high) {
    return torch::randint(low, high + 1, {1}).item<int64_t>();
  };
  for (int i = 0; i < 40; ++i) {
    const int64_t head_dim = draw(1, 40);
    check({draw(1, 4),
           draw(1, 90),
           draw(1, 4),
           draw(1, 50),
           {head_dim * draw(1, 4), draw(1, 40), head_dim, draw(1, 6)},
           draw(0, 1) == 1});
  }
}

TEST_P(PairCpu, TakesSequencesThatAreSlicesOfAWiderStream) {
  const torch::NoGradGuard no_grad;
  const Case c{2, 19, 3, 24, {64, 16, 32, 4}};
  const PairWeights w = random_weights(c);
  const Tensor wide = torch::randn({c.inner, c.outer, c.length, 2 * c.dim + 1});
  const Tensor before = wide.clone();
  const Tensor slice = wide.permute({1, 2, 0, 3}).slice(3, c.dim + 1);
  const Tensor expected = expected_change(slice, w, c.sizes);
  pair_block_cpu(slice, *prepare_pair_cpu(w, c.sizes, torch::kFloat32), nullptr, 0);
  EXPECT_LE(relative_error(wide.slice(3, c.dim + 1).permute({1, 2, 0, 3}) -
                               before.slice(3, c.dim + 1).permute({1, 2, 0, 3}),
                           expected),
            kTolerance);
  EXPECT_TRUE(torch::equal(wide.slice(3, 0, c.dim + 1), before.slice(3, 0, c.dim + 1)))
      << "wrote outside the slice";
}

TEST_P(PairCpu, ContinuesAStateAndLeavesTheOneAfterStateAt) {
  const torch::NoGradGuard no_grad;
  for (const Case& c : {Case{1, 50, 2, 16, {64, 16, 32, 4}}, Case{2, 3, 1, 24, {64, 64, 64, 4}},
                        Case{1, 150, 1, 9, {30, 7, 10, 6}}, Case{1, 9, 2, 16, {32, 16, 16, 1}, false},
                        Case{1, 1, 70, 16, {32, 16, 16, 4}}}) {
    const PairWeights w = random_weights(c);
    const auto prepared = prepare_pair_cpu(w, c.sizes, torch::kFloat32);
    const Tensor x = random_stream(c);
    for (int64_t state_at : {int64_t{0}, int64_t{1}, c.length / 2, c.length - 1, c.length}) {
      for (bool with_past : {false, true}) {
        MixerState found = with_past ? random_state(c) : MixerState{};
        const MixerState before = found;
        const Tensor ssm_before = found.ssm.defined() ? found.ssm.clone() : Tensor();
        MixerState expected = found;
        const Tensor y = fused_change(x, *prepared, &found, state_at);
        EXPECT_LE(relative_error(y, expected_change(x, w, c.sizes, &expected, state_at)), kTolerance)
            << c << " " << state_at << " " << with_past;
        if (state_at == 0 && !with_past) {
          EXPECT_FALSE(found.ssm.defined());
          continue;
        }
        EXPECT_LE(relative_error(found.ssm, expected.ssm.to(torch::kFloat64)), kTolerance)
            << c << " " << state_at;
        EXPECT_LE(relative_error(found.conv, expected.conv.to(torch::kFloat64)), kTolerance)
            << c << " " << state_at;
        if (with_past) {
          EXPECT_TRUE(torch::equal(before.ssm, ssm_before)) << "a copy of the state was overwritten";
        }
      }
    }
  }
}

TEST_P(PairCpu, PiecesWithCarriedStateEqualTheWhole) {
  const torch::NoGradGuard no_grad;
  const Case c{1, 90, 2, 96, {192, 64, 64, 4}, false};
  const auto prepared = prepare_pair_cpu(random_weights(c), c.sizes, torch::kFloat32);
  const Tensor x = random_stream(c);
  const Tensor whole = fused_change(x, *prepared);
  MixerState state;
  std::vector<Tensor> pieces;
  const float* memory = nullptr;
  for (int64_t begin = 0; begin < c.length; begin += 30) {
    // 30 new elements and, but for the last piece, 10 more that the state must not include.
    const int64_t end = std::min(begin + 40, c.length);
    pieces.push_back(
        fused_change(x.slice(1, begin, end).contiguous(), *prepared, &state, 30).slice(1, 0, 30));
    if (memory != nullptr) {
      EXPECT_EQ(state.ssm.data_ptr<float>(), memory) << "new memory for a stream's own state";
    }
    memory = state.ssm.data_ptr<float>();
  }
  EXPECT_LE(relative_error(torch::cat(pieces, 1), whole.to(torch::kFloat64)), kTolerance);
}

TEST_P(PairCpu, KeepsItsPrecisionForSlowAndForVeryFastDecays) {
  const torch::NoGradGuard no_grad;
  const Case c{1, 200, 1, 32, {64, 64, 64, 4}, false};
  for (double dt_bias : {-9.0, 10.0}) {
    for (double A_log : {0.0, 2.77}) {
      PairWeights w = random_weights(c);
      w.core_f.dt_bias.fill_(dt_bias);
      w.core_f.A_log.fill_(A_log);
      const Tensor x = random_stream(c);
      EXPECT_LE(relative_error(fused_change(x, *prepare_pair_cpu(w, c.sizes, torch::kFloat32)),
                               expected_change(x, w, c.sizes)),
                kTolerance)
          << dt_bias << " " << A_log;
    }
  }
}

TEST_P(PairCpu, ThreadsDoNotChangeTheResult) {
  const torch::NoGradGuard no_grad;
  const Case c{3, 33, 11, 24, {64, 16, 32, 4}};
  const auto prepared = prepare_pair_cpu(random_weights(c), c.sizes, torch::kFloat32);
  const Tensor x = random_stream(c);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Tensor one = fused_change(x, *prepared);
  at::set_num_threads(3);
  const Tensor three = fused_change(x, *prepared);
  at::set_num_threads(threads);
  EXPECT_TRUE(torch::equal(one, three));
}

INSTANTIATE_TEST_SUITE_P(Levels, PairCpu,
                         ::testing::Range(0, static_cast<int>(available_cpu_kernels().size())),
                         [](const auto& info) {
                           return std::string(available_cpu_kernels()[info.param].name);
                         });

TEST(PairCpuWeights, AreForFloat32Alone) {
  const Case c{1, 4, 1, 16, {32, 16, 16, 4}};
  const PairWeights w = random_weights(c);
  EXPECT_EQ(prepare_pair_cpu(w, c.sizes, torch::kBFloat16), nullptr);
  const auto prepared = prepare_pair_cpu(w, c.sizes, torch::kFloat32);
  const torch::NoGradGuard no_grad;
  MixerState state;
  EXPECT_THROW(pair_block_cpu(random_stream(c), *prepared, &state, 5), c10::Error);
  EXPECT_THROW(pair_block_cpu(random_stream(c).to(torch::kFloat64), *prepared, nullptr, 0), c10::Error);
  EXPECT_THROW(pair_block_cpu(random_stream(c).transpose(2, 3), *prepared, nullptr, 0), c10::Error);
}

}  // namespace
}  // namespace bsm
