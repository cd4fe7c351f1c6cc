// Operations counted from sizes, against the figures of the documentation and against the weights themselves.
#include "nn/cost.h"

#include <gtest/gtest.h>

#include "nn_test_util.h"

namespace bsm {
namespace {

constexpr int64_t kFrames = 800;

double per_token(double value) { return value / (kFrames * 62.0); }

// network.md, "Cost": 44.6 MFLOP of matrix products and at least 12.6 MFLOP of scan per (frame, band) token,
// 357 GFLOP per second of audio. The 44.6 are those of the layers, convolutions and all small weights
// included (two per parameter); band split and masks come on top.
TEST(Cost, PublishedNetworkCostsWhatTheDocumentationStates) {
  const NetworkCost cost = network_cost(ModelConfig{}, 1, kFrames, 2);
  const double layers = cost.projection_flop + cost.merge_flop + cost.conv_flop;
  EXPECT_NEAR(per_token(layers), 44.6e6, 0.15e6);
  EXPECT_NEAR(per_token(cost.sequence_flop), 12.6e6, 0.05e6);
  EXPECT_NEAR((cost.product_flop() + cost.sequence_flop) / (kFrames / 100.0), 357e9, 0.5e9);
}

TEST(Cost, LayersOfThePublishedNetworkTakeTwoOperationsPerParameter) {
  const ModelConfig config;
  int64_t parameters = config.parameter_count() - config.dim;
  for (const int bins : config.band_bins) {
    const int64_t width = int64_t{4} * bins, D = config.dim;
    parameters -= width + D * (width + 1) + 4 * D * (D + 1) + 2 * width * (4 * D + 1);
  }
  EXPECT_NEAR(2.0 * static_cast<double>(parameters), 44.6e6, 0.05e6);
}

// Every matrix is used once per token, or per frame where it belongs to a band.
class MatrixCost : public testing::TestWithParam<ModelConfig> {};

TEST_P(MatrixCost, IsTwoOperationsPerWeightAndRow) {
  const ModelConfig config = GetParam();
  const int64_t batch = 3, frames = 7;
  const double rows = static_cast<double>(batch * frames), tokens = rows * config.bands();
  const SeparationNetwork network(config);
  double expected = 0, convolutions = 0;
  for (const auto& parameter : network->named_parameters()) {
    const auto weights = static_cast<double>(parameter.value().numel());
    const std::string& name = parameter.key();
    if (parameter.value().dim() < 2) continue;
    if (name.find("conv1d") != std::string::npos) {
      convolutions += 2 * weights * tokens;
    } else {
      expected += 2 * weights * (name.starts_with("layers.") ? tokens : rows);
    }
  }
  const NetworkCost cost = network_cost(config, batch, frames, 4);
  EXPECT_DOUBLE_EQ(cost.product_flop(), expected);
  EXPECT_DOUBLE_EQ(cost.conv_flop, convolutions);
  double stages = 0;
  for (const Stage stage : {Stage::kBandSplit, Stage::kProjections, Stage::kMixerCore, Stage::kFeedForward,
                            Stage::kMerge, Stage::kMasks})
    stages += cost.stage_flop(stage);
  EXPECT_DOUBLE_EQ(stages, cost.flop());
}

ModelConfig causal_two_stem_config() {
  ModelConfig config = small_config();
  config.time_direction = TimeDirection::kForward;
  config.stems = {"a", "b"};
  return config;
}

INSTANTIATE_TEST_SUITE_P(Cost, MatrixCost,
                         testing::Values(small_config(), small_config(BlockKind::kTransformer),
                                         causal_two_stem_config()));

TEST(Cost, AttentionGrowsWithTheWindowAndTheScanDoesNot) {
  const auto per_frame = [](BlockKind kind, int64_t frames) {
    return network_cost(small_config(kind), 1, frames, 4).sequence_flop / static_cast<double>(frames);
  };
  EXPECT_DOUBLE_EQ(per_frame(BlockKind::kMamba2, 10), per_frame(BlockKind::kMamba2, 1000));
  // 3 heads of 4, two products of 2 operations, 2 layers, 6 bands; sequences of T frames or of 6 bands.
  EXPECT_DOUBLE_EQ(per_frame(BlockKind::kTransformer, 10), 4 * 12 * 2 * 6 * (10 + 6));
}

TEST(Cost, BytesAreWeightsFramesMasksAndStream) {
  const ModelConfig config = small_config();
  const double values = 4 * 32,
               stream = 2 * 2 * 2 * 6 * 12;  // 2 layers of 2 blocks, in and out, 6 bands of 12
  EXPECT_DOUBLE_EQ(network_cost(config, 1, 5, 2).bytes,
                   static_cast<double>(config.parameter_count()) * 2 + 5 * (values * 2 * 4 + stream * 2));
}

// network.md: 62 x 16 x 64 x 128 floats = 32.5 MB a layer.
TEST(Cost, CarriedStateIsThatOfTheForwardScansAlongTime) {
  EXPECT_NEAR(carried_state_bytes(ModelConfig{}) / 6, 32.5e6 + 62 * 3 * 1280 * 4, 0.05e6);
  EXPECT_EQ(carried_state_bytes(small_config(BlockKind::kTransformer)), 0);
}

}  // namespace
}  // namespace bsm
