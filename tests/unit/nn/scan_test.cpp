#include "nn/scan.h"

#include <gtest/gtest.h>

#include "nn_test_util.h"

namespace bsm {
namespace {

using torch::Tensor;

constexpr int64_t kS = 2, kH = 3, kP = 4, kN = 5;

ScanInput random_input(int64_t L, bool with_state, double dt_scale = 0.5) {
  const auto f64 = torch::TensorOptions(torch::kFloat64);
  return {torch::randn({kS, L, kH, kP}, f64), torch::rand({kS, L, kH}, f64) * dt_scale,
          -torch::rand({kH}, f64) * 4 - 0.1,  torch::randn({kS, L, kN}, f64),
          torch::randn({kS, L, kN}, f64),     with_state ? torch::randn({kS, kH, kP, kN}, f64) : Tensor()};
}

std::vector<Tensor> differentiable(ScanInput& input) {
  std::vector<Tensor> leaves;
  for (Tensor* tensor : {&input.x, &input.dt, &input.A, &input.B, &input.C, &input.initial_state}) {
    if (!tensor->defined()) continue;
    *tensor = tensor->detach().requires_grad_(true);
    leaves.push_back(*tensor);
  }
  return leaves;
}

TEST(ScanReference, EqualsTheGeometricSeries) {
  // One head, P = N = 1, constant input: h_t = d h_{t-1} + dt with d = exp(dt A), so h_L = dt (1 - d^L) / (1
  // - d).
  const auto f64 = torch::TensorOptions(torch::kFloat64);
  const int64_t L = 20;
  const double dt = 0.1, A = -2.0, d = std::exp(dt * A);
  const ScanOutput out = scan_reference({torch::ones({1, L, 1, 1}, f64), torch::full({1, L, 1}, dt, f64),
                                         torch::full({1}, A, f64), torch::ones({1, L, 1}, f64),
                                         torch::full({1, L, 1}, 3.0, f64), Tensor()});
  for (int64_t t = 0; t < L; ++t)
    EXPECT_NEAR(out.y[0][t][0][0].item<double>(), 3.0 * dt * (1 - std::pow(d, t + 1)) / (1 - d), 1e-14);
  EXPECT_NEAR(out.final_state.item<double>(), dt * (1 - std::pow(d, L)) / (1 - d), 1e-14);
}

class ChunkedScan : public testing::TestWithParam<std::tuple<int64_t, int64_t, bool>> {};

TEST_P(ChunkedScan, EqualsTheRecurrenceWithItsGradients) {
  const auto [L, chunk, with_state] = GetParam();
  torch::manual_seed(L * 100 + chunk);
  ScanInput input = random_input(L, with_state);
  const std::vector<Tensor> leaves = differentiable(input);
  const ScanOutput expected = scan_reference(input);
  const ScanOutput actual = scan_chunked(input, chunk);
  EXPECT_LT(relative_error(actual.y, expected.y), 1e-12);
  EXPECT_LT(relative_error(actual.final_state, expected.final_state), 1e-12);

  const Tensor weigh_y = torch::randn_like(expected.y), weigh_h = torch::randn_like(expected.final_state);
  const auto gradients = [&](const ScanOutput& out) {
    return torch::autograd::grad({(out.y * weigh_y).sum() + (out.final_state * weigh_h).sum()}, leaves);
  };
  const auto expected_gradients = gradients(expected), actual_gradients = gradients(actual);
  for (size_t i = 0; i < leaves.size(); ++i)
    EXPECT_LT(relative_error(actual_gradients[i], expected_gradients[i]), 1e-11) << "input " << i;
}

INSTANTIATE_TEST_SUITE_P(Lengths, ChunkedScan,
                         testing::Combine(testing::Values(1, 2, 7, 8, 9, 29), testing::Values(1, 8, 64),
                                          testing::Bool()));

TEST(ChunkedScan, ContinuesFromItsFinalState) {
  torch::manual_seed(1);
  const ScanInput whole = random_input(50, true);
  const ScanOutput expected = scan_chunked(whole, 16);
  const auto part = [&](int64_t begin, int64_t end, const Tensor& state) {
    return scan_chunked({whole.x.slice(1, begin, end), whole.dt.slice(1, begin, end), whole.A,
                         whole.B.slice(1, begin, end), whole.C.slice(1, begin, end), state},
                        16);
  };
  const ScanOutput first = part(0, 21, whole.initial_state);
  const ScanOutput second = part(21, 50, first.final_state);
  EXPECT_LT(relative_error(torch::cat({first.y, second.y}, 1), expected.y), 1e-12);
  EXPECT_LT(relative_error(second.final_state, expected.final_state), 1e-12);
}

TEST(ChunkedScan, StaysAccurateInFloat32WithStrongDecay) {
  // dt * A reaches -1000 per element: sums over a chunk lose what small neighbours need unless kept in
  // float64, and exp() of the masked half would overflow and make gradients NaN.
  torch::manual_seed(2);
  ScanInput input = random_input(100, true, 1.0);
  input.dt = torch::where(torch::rand_like(input.dt) < 0.2, input.dt * 250, input.dt * 0.01);
  const ScanOutput expected = scan_reference(input);
  for (Tensor* tensor : {&input.x, &input.dt, &input.A, &input.B, &input.C, &input.initial_state})
    *tensor = tensor->to(torch::kFloat32);
  const std::vector<Tensor> leaves = differentiable(input);
  const ScanOutput actual = scan_chunked(input);
  EXPECT_LT(relative_error(actual.y, expected.y), 1e-5);
  for (const Tensor& gradient : torch::autograd::grad({actual.y.square().sum()}, leaves))
    EXPECT_TRUE(gradient.isfinite().all().item<bool>());
}

TEST(CausalConv, EqualsConv1d) {
  torch::manual_seed(3);
  const Tensor u = torch::randn({2, 9, 5}), weight = torch::randn({5, 4}), bias = torch::randn({5});
  const Tensor history = torch::randn({2, 3, 5});
  for (const Tensor& initial : {Tensor(), history}) {
    const Tensor before = initial.defined() ? initial : torch::zeros({2, 3, 5});
    const int64_t padding = 0;
    const Tensor inputs = torch::cat({before, u}, 1).transpose(1, 2);
    const Tensor expected =
        torch::conv1d(inputs, weight.unsqueeze(1), bias, 1, padding, 1, 5).transpose(1, 2);
    const ConvOutput actual = causal_conv(u, weight, bias, initial);
    EXPECT_LT(relative_error(actual.y, expected), 1e-6);
    EXPECT_TRUE(torch::equal(actual.final_state, u.slice(1, 6)));
  }
}

TEST(CausalConv, ContinuesFromPiecesShorterThanItsHistory) {
  torch::manual_seed(4);
  const Tensor u = torch::randn({1, 7, 3}), weight = torch::randn({3, 4}), bias = torch::randn({3});
  const ConvOutput expected = causal_conv(u, weight, bias, {});
  Tensor state;
  std::vector<Tensor> y;
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {1, 3}, {3, 7}}) {
    const ConvOutput piece = causal_conv(u.slice(1, begin, end), weight, bias, state);
    y.push_back(piece.y);
    state = piece.final_state;
  }
  EXPECT_TRUE(torch::allclose(torch::cat(y, 1), expected.y));
  EXPECT_TRUE(torch::equal(state, expected.final_state));
}

TEST(CausalConv, OfWidthOneHasNoHistory) {
  torch::manual_seed(5);
  const Tensor u = torch::randn({2, 6, 3}), weight = torch::randn({3, 1}), bias = torch::randn({3});
  const ConvOutput out = causal_conv(u, weight, bias, {});
  EXPECT_TRUE(torch::allclose(out.y, u * weight.squeeze(1) + bias));
  EXPECT_EQ(out.final_state.size(1), 0);
}

}  // namespace
}  // namespace bsm
