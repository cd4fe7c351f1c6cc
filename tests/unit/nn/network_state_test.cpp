// Networks that continue from a carried state.
#include <gtest/gtest.h>

#include "nn_test_util.h"

namespace bsm {
namespace {

using torch::Tensor;

TEST(NetworkState, CausalNetworkInPiecesEqualsTheWhole) {
  ModelConfig config = small_config();
  config.time_direction = TimeDirection::kForward;
  SeparationNetwork network = perturbed_network(config, 31);
  const Tensor frames = random_frames(config, 2, 23);
  torch::NoGradGuard no_grad;
  const Tensor whole = network->forward(frames);
  for (const int64_t hop : {1, 2, 5, 23}) {
    NetworkState state;
    std::vector<Tensor> pieces;
    for (int64_t begin = 0; begin < 23; begin += hop) {
      const Tensor piece = frames.slice(1, begin, std::min<int64_t>(23, begin + hop));
      pieces.push_back(network->forward(piece, &state, piece.size(1)));
    }
    EXPECT_LT(relative_error(torch::cat(pieces, 2), whole), 1e-5) << "hop " << hop;
  }
}

TEST(NetworkState, WithAllThatRemainsAsLookAheadEqualsTheWhole) {
  const ModelConfig config = small_config();
  SeparationNetwork network = perturbed_network(config, 32);
  network->prepare_inference();
  const Tensor frames = random_frames(config, 1, 23);
  torch::NoGradGuard no_grad;
  const Tensor whole = network->forward(frames);
  const int64_t hop = 6;
  NetworkState state;
  for (int64_t begin = 0; begin < 23; begin += hop) {
    const int64_t kept = std::min<int64_t>(hop, 23 - begin);
    const Tensor masks = network->forward(frames.slice(1, begin), &state, kept);
    EXPECT_LT(relative_error(masks, whole.slice(2, begin)), 1e-5) << "from frame " << begin;
  }
}

TEST(NetworkState, CausalNetworkDoesNotSeeTheFuture) {
  ModelConfig config = small_config();
  config.time_direction = TimeDirection::kForward;
  SeparationNetwork network = perturbed_network(config, 33);
  const Tensor frames = random_frames(config, 1, 12);
  Tensor changed = frames.clone();
  changed.slice(1, 7).normal_();
  torch::NoGradGuard no_grad;
  const Tensor before = network->forward(frames), after = network->forward(changed);
  EXPECT_TRUE(torch::allclose(before.slice(2, 0, 7), after.slice(2, 0, 7), 1e-5, 1e-6));
  EXPECT_FALSE(torch::allclose(before.slice(2, 7), after.slice(2, 7), 1e-2, 1e-2));
}

TEST(NetworkState, BaselineRefusesOne) {
  const ModelConfig config = small_config(BlockKind::kTransformer);
  SeparationNetwork network = perturbed_network(config, 34);
  NetworkState state;
  EXPECT_THROW(network->forward(random_frames(config, 1, 4), &state, 4), c10::Error);
}

}  // namespace
}  // namespace bsm
