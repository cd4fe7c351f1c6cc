#include "train/flat_parameters.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <limits>

namespace bsm {
namespace {

torch::nn::Sequential small_network() {
  return torch::nn::Sequential(torch::nn::Linear(3, 5), torch::nn::Tanh(), torch::nn::Linear(5, 2));
}

void copy_weights(torch::nn::Sequential& from, torch::nn::Sequential& to) {
  const torch::NoGradGuard no_grad;
  for (const auto& item : from->named_parameters()) to->named_parameters()[item.key()].copy_(item.value());
}

void backward(torch::nn::Sequential& network, const torch::Tensor& x, double scale) {
  (network->forward(x).square().sum() * scale).backward();
}

TEST(FlatParameters, KeepsValuesAndMakesViews) {
  torch::manual_seed(1);
  auto network = small_network();
  auto before = small_network();
  copy_weights(network, before);
  FlatParameters flat(*network);
  for (const auto& item : network->named_parameters())
    EXPECT_TRUE(torch::equal(item.value(), before->named_parameters()[item.key()])) << item.key();
  flat.weights.zero_();
  for (const torch::Tensor& parameter : network->parameters())
    EXPECT_EQ(parameter.abs().max().item<double>(), 0);
  backward(network, torch::ones({1, 3}), 1);
  EXPECT_EQ(flat.gradients.norm().item<double>(), 0);  // all weights are zero
}

TEST(FlatParameters, StepsEqualClippedAdamW) {
  torch::manual_seed(2);
  auto network = small_network();
  auto reference = small_network();
  copy_weights(network, reference);
  FlatParameters flat(*network);
  std::vector<torch::Tensor> matrices, vectors;
  for (torch::Tensor& p : reference->parameters()) (p.dim() >= 2 ? matrices : vectors).push_back(p);
  const auto options = [](double decay) {
    return std::make_unique<torch::optim::AdamWOptions>(
        torch::optim::AdamWOptions(1e-2).betas({0.9, 0.99}).eps(1e-8).weight_decay(decay));
  };
  torch::optim::AdamW adam({torch::optim::OptimizerParamGroup(matrices, options(0.1)),
                            torch::optim::OptimizerParamGroup(vectors, options(0))});
  for (int step = 0; step < 10; ++step) {
    const torch::Tensor x = torch::randn({4, 3});
    const double scale = step % 2 ? 0.01 : 100;  // below and above the clipping norm
    flat.zero_grad();
    backward(network, x, scale);
    flat.step(1e-2, {{0.9, 0.99}, 1e-8, 0.1, 1.5, 0.9});
    adam.zero_grad();
    backward(reference, x, scale);
    const double norm = torch::nn::utils::clip_grad_norm_(reference->parameters(), 1.5);
    EXPECT_NEAR(flat.gradient_norm().item<double>(), norm, 1e-4 * norm);
    adam.step();
  }
  for (const auto& item : reference->named_parameters())
    EXPECT_TRUE(torch::allclose(network->named_parameters()[item.key()], item.value(), 1e-4, 1e-6))
        << item.key();
}

TEST(FlatParameters, AverageFollowsTheWeights) {
  auto network = small_network();
  FlatParameters flat(*network);
  torch::Tensor expected = flat.weights.clone();
  for (int step = 1; step <= 30; ++step) {
    flat.gradients.fill_(0.5);
    flat.step(1e-2, {.ema = 0.6});
    const double decay = std::min(0.6, (1.0 + step) / (10.0 + step));
    expected = decay * expected + (1 - decay) * flat.weights;
  }
  EXPECT_TRUE(torch::allclose(flat.average, expected, 1e-5, 1e-6));
  EXPECT_FALSE(torch::allclose(flat.average, flat.weights, 1e-4, 1e-5));
  const torch::Tensor weights = flat.weights.clone();
  flat.swap_average();
  EXPECT_TRUE(torch::equal(flat.average, weights));
  flat.swap_average();
  EXPECT_TRUE(torch::equal(flat.weights, weights));
}

TEST(FlatParameters, NonFiniteGradientsAreCountedAndHarmless) {
  auto network = small_network();
  FlatParameters flat(*network);
  flat.gradients.fill_(std::numeric_limits<float>::quiet_NaN());
  flat.step(1e-2, {});
  flat.gradients.fill_(1);
  flat.gradients[0] = std::numeric_limits<float>::infinity();
  flat.step(1e-2, {});
  EXPECT_EQ(flat.skipped().item<double>(), 2);
  EXPECT_TRUE(flat.weights.isfinite().all().item<bool>());
  EXPECT_TRUE(flat.second_moment.isfinite().all().item<bool>());
  flat.gradients.fill_(1);
  flat.step(1e-2, {});
  EXPECT_EQ(flat.skipped().item<double>(), 2);
}

}  // namespace
}  // namespace bsm
