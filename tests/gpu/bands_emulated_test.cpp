// The kernels around the bands' products, run on the host by tests/gpu/emulator.h, against plain operators.
#include <gtest/gtest.h>

#include "bands_cases.h"

namespace bsm {
namespace {

using testing::BandsCase;

const BandsCase kCases[] = {
    {1, 3, 16, 32, {8, 12, 516}, {3, 2, 1}}, {2, 9, 24, 40, {4, 20}, {1, 5}}, {1, 1, 8, 8, {6}, {1}},
    {1, 70, 256, 264, {8, 4}, {1, 2}},       {2, 3, 256, 64, {12}, {7}},
};

TEST(BandsEmulated, Features) {
  torch::manual_seed(5);
  for (const BandsCase& c : kCases)
    EXPECT_LT(testing::band_features_error(c, torch::kCPU, torch::kBFloat16), 1e-2);
}

TEST(BandsEmulated, Masks) {
  torch::manual_seed(6);
  for (const BandsCase& c : kCases)
    EXPECT_LT(testing::band_masks_error(c, torch::kCPU, torch::kBFloat16), 2e-2);
}

}  // namespace
}  // namespace bsm
