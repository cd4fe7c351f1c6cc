#include <gtest/gtest.h>

#include <cmath>

#include "bench/bench.h"

namespace bsm {
namespace {

TEST(ComparableRoformer, OfThePublishedNetworkIsThePublishedOne) {
  const ModelConfig roformer = comparable_roformer(ModelConfig{});
  EXPECT_EQ(roformer.kind, BlockKind::kTransformer);
  EXPECT_EQ(roformer.parameter_count(), 72'173'292);
}

TEST(ComparableRoformer, OfOtherSizesHasTheSameFrontEndAndAboutAsManyParameters) {
  ModelConfig config;
  config.dim = 96;
  config.mamba2 = {2, 64, 64, 4};
  config.stft.hop = 882;
  const ModelConfig roformer = comparable_roformer(config);
  EXPECT_NO_THROW(roformer.validate());
  EXPECT_EQ(roformer.stft, config.stft);
  EXPECT_EQ(roformer.band_bins, config.band_bins);
  EXPECT_EQ(roformer.depth, config.depth);
  const double ratio =
      static_cast<double>(roformer.parameter_count()) / static_cast<double>(config.parameter_count());
  EXPECT_LT(std::abs(std::log(ratio)), std::log(1.5)) << ratio;
}

}  // namespace
}  // namespace bsm
