#include "nn/recompute.h"

#include <gtest/gtest.h>

#include "nn_test_util.h"

namespace bsm {
namespace {

using torch::Tensor;

/// Masks and the gradients of all parameters, in training mode, where the baseline draws its dropout.
std::vector<Tensor> masks_and_gradients(SeparationNetwork& network, const Tensor& frames, bool recompute) {
  network->train();
  network->set_recompute(recompute);
  network->zero_grad();
  torch::manual_seed(32);
  const Tensor masks = network->forward(frames);
  masks.square().sum().backward();
  std::vector<Tensor> results{masks.detach()};
  for (const Tensor& parameter : network->parameters()) results.push_back(parameter.grad().clone());
  results.push_back(torch::rand({4}));  // the generator goes on as if nothing had been drawn again
  return results;
}

TEST(Recompute, NetworksAreTheSameWithAndWithout) {
  for (const BlockKind kind : {BlockKind::kMamba2, BlockKind::kTransformer}) {
    const ModelConfig config = small_config(kind);
    SeparationNetwork network = perturbed_network(config, 31);
    network->prepare_inference();  // must not matter
    const Tensor frames = random_frames(config, 2, 9);
    const auto kept = masks_and_gradients(network, frames, false);
    const auto again = masks_and_gradients(network, frames, true);
    for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(torch::equal(again[i], kept[i])) << i;
  }
}

TEST(Recompute, KeepsNothingInside) {
  const Tensor weight = torch::full({3}, 2.0, torch::requires_grad());
  const Tensor x = torch::ones({3}, torch::requires_grad());
  int calls = 0;
  std::vector<c10::weak_intrusive_ptr<at::TensorImpl>> inside;
  const Tensor y = recomputed(
      [&](const Tensor& input) {
        ++calls;
        const Tensor product = input * weight, power = product.exp();  // exp keeps its result
        inside.emplace_back(power.getIntrusivePtr());
        return power * product;
      },
      x);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(inside[0].use_count(), 0u);
  EXPECT_TRUE(y.requires_grad());
  y.sum().backward();
  EXPECT_EQ(calls, 2);
  const double gradient = std::exp(2) * 2 + std::exp(2);  // d(e^p p)/dp at p = 2
  EXPECT_TRUE(torch::allclose(x.grad(), torch::full({3}, 2 * gradient)));
  EXPECT_TRUE(torch::allclose(weight.grad(), torch::full({3}, gradient)));
}

TEST(Recompute, InferenceIsNotTouched) {
  const ModelConfig config = small_config();
  SeparationNetwork network = perturbed_network(config, 33);
  const Tensor frames = random_frames(config, 1, 6);
  const torch::NoGradGuard no_grad;
  const Tensor before = network->forward(frames);
  network->set_recompute(true);
  EXPECT_TRUE(torch::equal(network->forward(frames), before));
}

TEST(Recompute, RefusesInputsWithoutGradients) {
  EXPECT_THROW(recomputed([](const Tensor& x) { return x; }, torch::ones({3})), c10::Error);
}

}  // namespace
}  // namespace bsm
