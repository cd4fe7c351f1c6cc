// The kernels of a block of two fused mixers, run on the host by tests/gpu/emulator.h, against plain
// operators.
#include <gtest/gtest.h>

#include "core/error.h"
#include "emulator.h"
#include "pair_cases.h"

namespace bsm {
namespace {

using testing::PairCase;

std::vector<PairCase> cases() {
  return {
      {2, 1, 2, 16, {128, 32, 64, 4}},
      {1, 2, 1, 8, {64, 32, 32, 4}},
      {3, 40, 1, 24, {192, 64, 64, 4}, true, 1},
      {1, 63, 2, 16, {64, 128, 64, 3}, false},
      {2, 64, 1, 16, {64, 32, 64, 2}},
      {1, 65, 2, 16, {64, 64, 32, 4}},
      {1, 130, 3, 16, {128, 128, 64, 4}, true, 1},
      {2, 150, 1, 16, {64, 32, 32, 4}, false},
      {1, 66, 2, 256, {64, 64, 64, 4}},
      {3, 3, 2, 256, {64, 32, 32, 4}, false, 1},
  };
}

class PairEmulated : public ::testing::TestWithParam<PairCase> {};

TEST_P(PairEmulated, Bfloat16) {
  torch::manual_seed(1);
  EXPECT_LT(testing::pair_error(GetParam(), torch::kCPU, torch::kBFloat16), 2e-2);
}

TEST_P(PairEmulated, Float16) {
  torch::manual_seed(2);
  EXPECT_LT(testing::pair_error(GetParam(), torch::kCPU, torch::kFloat16), 5e-3);
}

TEST_P(PairEmulated, WithoutGroupProducts) {
  torch::manual_seed(1);
  emulator::has_group_products = false;
  EXPECT_LT(testing::pair_error(GetParam(), torch::kCPU, torch::kBFloat16), 2e-2);
  emulator::has_group_products = true;
}

INSTANTIATE_TEST_SUITE_P(Shapes, PairEmulated, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return std::to_string(info.index); });

TEST(PairEmulatedState, ContinuesAndIsTakenInTheMiddle) {
  for (const MixerSizes& sizes :
       {MixerSizes{64, 32, 32, 4}, MixerSizes{64, 64, 64, 4}, MixerSizes{128, 128, 64, 3}}) {
    torch::manual_seed(3);
    const PairCase c{1, 100, 2, 16, sizes};
    EXPECT_LT(testing::pair_stream_error(c, torch::kCPU, torch::kBFloat16, {2, 70, 64, 100, 0}), 2e-2);
  }
}

TEST(PairEmulatedState, ShortPieces) {
  torch::manual_seed(4);
  const PairCase c{2, 5, 1, 16, {64, 32, 64, 4}};
  EXPECT_LT(testing::pair_stream_error(c, torch::kCPU, torch::kBFloat16, {1, 1, 2, 5, 5}), 2e-2);
}

/// Parts of 256 columns alone, with a narrow one, with one of 192; fewer and more units of 64 tokens than
/// buffers and blocks of threads.
TEST(PairEmulatedLaunch, InputProjection) {
  torch::manual_seed(5);
  for (const auto& [tokens, width, directions] :
       {std::tuple{1, 256, 1}, {63, 320, 1}, {64, 192, 2}, {65, 448, 1}, {460, 320, 1}, {1000, 192, 1}})
    EXPECT_LT(testing::projection_error(tokens, width, directions, torch::kCPU, torch::kBFloat16), 5e-3)
        << tokens << " tokens, " << directions << " x " << width << " columns";
}

TEST(PairEmulatedLaunch, TooLittleSharedMemoryIsAnError) {
  const PairCase c{1, 70, 1, 16, {64, 128, 64, 4}};
  emulator::shared_bytes_limit = 1024;
  EXPECT_THROW(testing::pair_error(c, torch::kCPU, torch::kBFloat16), Error);
  emulator::shared_bytes_limit = 227 * 1024;
}

}  // namespace
}  // namespace bsm
