// Band split and mask heads on a GPU against plain operators. Run by run.sh, on machines that have a GPU.
#include <gtest/gtest.h>

#include "bands_cases.h"

namespace bsm {
namespace {

using testing::BandsCase;

const torch::Device kGpu(torch::kCUDA, 0);

/// The published network's bands, then others.
const BandsCase kCases[] = {
    {1, 100, 256, 1024, {8, 16, 48, 96, 192, 512, 516}, {24, 12, 8, 8, 8, 1, 1}},
    {3, 17, 96, 288, {16, 40, 132}, {9, 4, 2}},
    {2, 70, 256, 328, {16, 40}, {9, 150}},
    {2, 1, 24, 40, {4, 20}, {1, 5}},
};

TEST(BandsCuda, Features) {
  torch::manual_seed(5);
  for (const BandsCase& c : kCases) {
    EXPECT_LT(testing::band_features_error(c, kGpu, torch::kBFloat16), 1e-2);
    EXPECT_LT(testing::band_features_error(c, kGpu, torch::kFloat16), 2e-3);
  }
}

TEST(BandsCuda, Masks) {
  torch::manual_seed(6);
  for (const BandsCase& c : kCases) {
    EXPECT_LT(testing::band_masks_error(c, kGpu, torch::kBFloat16), 2e-2);
    EXPECT_LT(testing::band_masks_error(c, kGpu, torch::kFloat16), 4e-3);
  }
}

}  // namespace
}  // namespace bsm
