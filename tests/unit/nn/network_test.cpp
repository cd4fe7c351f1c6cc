#include "nn/network.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "nn/weights.h"
#include "nn_test_util.h"
#include "reference_network.h"

namespace bsm {
namespace {

using torch::Tensor;

TEST(ParameterCount, OfThePublishedBsmamba2) {
  EXPECT_EQ(parameter_count(SeparationNetwork(ModelConfig{})), 48098188);
}

TEST(ParameterCount, OfThePublishedBsRoformer) {
  ModelConfig config;
  config.kind = BlockKind::kTransformer;
  config.dim = 384;
  EXPECT_EQ(parameter_count(SeparationNetwork(config)), 72173292);
}

TEST(ParameterCount, IsKnownBeforeTheNetworkIsMade) {
  ModelConfig config = small_config();
  EXPECT_EQ(config.parameter_count(), parameter_count(SeparationNetwork(config)));
  config.time_direction = TimeDirection::kForward;
  config.stems = {"a", "b"};
  EXPECT_EQ(config.parameter_count(), parameter_count(SeparationNetwork(config)));
  config = small_config(BlockKind::kTransformer);
  EXPECT_EQ(config.parameter_count(), parameter_count(SeparationNetwork(config)));
}

struct Variant {
  const char* name;
  ModelConfig config;
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

std::vector<Variant> variants() {
  std::vector<Variant> list = {{"mamba2", small_config()},
                               {"roformer", small_config(BlockKind::kTransformer)}};
  list.push_back({"forward_mono", small_config()});
  list.back().config.time_direction = TimeDirection::kForward;
  list.back().config.channels = 1;
  list.push_back({"two_stems", small_config()});
  list.back().config.stems = {"vocals", "drums"};
  return list;
}

class AgainstReference : public testing::TestWithParam<Variant> {};

TEST_P(AgainstReference, MasksAgree) {
  const SeparationNetwork network = perturbed_network(GetParam().config, 21);
  const Tensor frames = random_frames(GetParam().config, 2, 9);
  torch::NoGradGuard no_grad;
  const Tensor expected = reference_masks(network, frames);
  EXPECT_EQ(expected.size(1), static_cast<int64_t>(GetParam().config.stems.size()));
  SeparationNetwork subject = network;
  EXPECT_LT(relative_error(subject->forward(frames), expected), 1e-5) << "derived at each call";
  subject->prepare_inference();
  EXPECT_LT(relative_error(subject->forward(frames), expected), 1e-5) << "prepared";
}

TEST_P(AgainstReference, GradientsOfEveryParameterAgree) {
  SeparationNetwork network = perturbed_network(GetParam().config, 22);
  const Tensor frames = random_frames(GetParam().config, 2, 9);
  const Tensor weigh = torch::randn_like(reference_masks(network, frames).detach());
  const auto names = network->named_parameters();
  const auto expected =
      torch::autograd::grad({(reference_masks(network, frames) * weigh).sum()}, network->parameters());
  network->prepare_inference();  // must not matter while gradients are on
  const auto actual =
      torch::autograd::grad({(network->forward(frames) * weigh).sum()}, network->parameters());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_GT(expected[i].abs().max().item<float>(), 0.0f) << names[i].key();
    EXPECT_LT(relative_error(actual[i], expected[i]), 2e-4) << names[i].key();
  }
}

INSTANTIATE_TEST_SUITE_P(Network, AgainstReference, testing::ValuesIn(variants()),
                         [](const auto& info) { return info.param.name; });

TEST(Network, HalfPrecisionStaysNear) {
  const ModelConfig config = small_config();
  SeparationNetwork network = make_random_network(config, 23);
  const Tensor frames = random_frames(config, 1, 9);
  torch::NoGradGuard no_grad;
  const Tensor expected = network->forward(frames);
  network->set_compute_dtype(torch::kBFloat16);
  EXPECT_EQ(network->compute_dtype(), torch::kBFloat16);
  const Tensor unprepared = network->forward(frames);
  network->prepare_inference();
  const Tensor actual = network->forward(frames);
  EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
  EXPECT_LT(relative_error(unprepared, expected), 0.05);
  EXPECT_LT(relative_error(actual, expected), 0.05);
  EXPECT_GT(relative_error(actual, expected), 1e-5) << "bfloat16 was not used";
  EXPECT_THROW(network->set_compute_dtype(torch::kInt32), Error);
}

TEST(Network, DropoutActsInTrainingOnly) {
  const ModelConfig config = small_config(BlockKind::kTransformer);
  SeparationNetwork network = perturbed_network(config, 24);
  const Tensor frames = random_frames(config, 1, 9);
  torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(network->forward(frames), network->forward(frames)));
  network->train();
  EXPECT_FALSE(torch::equal(network->forward(frames), network->forward(frames)));
}

TEST(Network, StaleInferenceWeightsAreRefused) {
  const ModelConfig config = small_config();
  SeparationNetwork network = make_random_network(config, 25);
  network->prepare_inference();
  const Tensor frames = random_frames(config, 1, 4);
  torch::NoGradGuard no_grad;
  network->forward(frames);
  network->parameters()[0].add_(0.5);
  EXPECT_THROW(network->forward(frames), c10::Error);
  network->prepare_inference();
  const Tensor prepared = network->forward(frames);
  network->discard_prepared();
  EXPECT_LT(relative_error(prepared, network->forward(frames)), 1e-6);
}

TEST(Network, GivesTheMasksOfTheWantedFramesAlone) {
  SeparationNetwork network = make_random_network(small_config(), 28);
  const Tensor frames = random_frames(network->config(), 2, 9);
  torch::NoGradGuard no_grad;
  for (const bool prepared : {true, false}) {
    prepared ? network->prepare_inference() : network->discard_prepared();
    const Tensor whole = network->forward(frames);
    EXPECT_LT(relative_error(network->forward(frames, nullptr, 0, {3, 7}), whole.slice(2, 3, 7)), 1e-6);
    EXPECT_LT(relative_error(network->forward(frames, nullptr, 0, {3}), whole.slice(2, 3)), 1e-6);
    EXPECT_THROW(network->forward(frames, nullptr, 0, {7, 7}), c10::Error);
    EXPECT_THROW(network->forward(frames, nullptr, 0, {0, 10}), c10::Error);
  }
}

TEST(Network, RefusesInputsOfOtherShapes) {
  SeparationNetwork network = make_random_network(small_config(), 26);
  EXPECT_THROW(network->forward(torch::zeros({1, 4, 100})), c10::Error);
  EXPECT_THROW(network->forward(torch::zeros({4, 128})), c10::Error);
  EXPECT_THROW(network->forward(torch::zeros({1, 0, 128})), c10::Error);
}

TEST(Network, SilenceGivesFiniteMasks) {
  for (const BlockKind kind : {BlockKind::kMamba2, BlockKind::kTransformer}) {
    const ModelConfig config = small_config(kind);
    SeparationNetwork network = perturbed_network(config, 27);
    const Tensor masks = network->forward(torch::zeros({1, 5, 128}));
    EXPECT_TRUE(masks.isfinite().all().item<bool>());
    for (const Tensor& gradient : torch::autograd::grad({masks.sum()}, network->parameters()))
      EXPECT_TRUE(gradient.isfinite().all().item<bool>());
  }
}

TEST(Network, StartValuesFollowTheSeedAndThePublishedRanges) {
  ModelConfig config = small_config();
  config.dim = 256;
  config.mamba2.head_dim = 4;
  SeparationNetwork one = make_random_network(config, 5), same = make_random_network(config, 5),
                    other = make_random_network(config, 6);
  const auto a = one->parameters(), b = same->parameters(), c = other->parameters();
  bool all_equal = true;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(torch::equal(a[i], b[i]));
    all_equal = all_equal && torch::equal(a[i], c[i]);
  }
  EXPECT_FALSE(all_equal);

  const auto named = one->named_parameters();
  const std::string mixer = "layers.0.0.forward_blocks.0.mixer.";
  const Tensor A = named[mixer + "A_log"].exp(), dt = torch::softplus(named[mixer + "dt_bias"]);
  EXPECT_GE(A.min().item<float>(), 1.0f);
  EXPECT_LE(A.max().item<float>(), 16.0f);
  EXPECT_GE(dt.min().item<float>(), 0.999e-3f);
  EXPECT_LE(dt.max().item<float>(), 1.001e-1f);
  EXPECT_NEAR(dt.log().mean().item<float>(), std::log(1e-2), 0.5);  // log-uniform: centred on 1e-2
  EXPECT_TRUE(torch::equal(named[mixer + "D"], torch::ones({config.heads()})));
  const Tensor in_proj = named[mixer + "in_proj.weight"];
  EXPECT_NEAR(in_proj.abs().max().item<float>(), 1.0 / 16,
              1e-3);  // kaiming uniform, a = sqrt(5): 1 / sqrt(fan_in)
}

TEST(ApplyMasks, IsTheComplexProduct) {
  torch::manual_seed(28);
  const Tensor masks = torch::randn({2, 3, 4, 10}), frames = torch::randn({2, 4, 10});
  const auto complex = [](const Tensor& x) {
    auto shape = x.sizes().vec();
    shape.back() /= 2;
    shape.push_back(2);
    return torch::view_as_complex(x.view(shape));
  };
  const Tensor expected = complex(masks) * complex(frames).unsqueeze(1);
  EXPECT_TRUE(torch::allclose(apply_masks(masks, frames), torch::view_as_real(expected).view({2, 3, 4, 10})));
}

}  // namespace
}  // namespace bsm
