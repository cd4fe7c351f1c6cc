// A block of two fused mixers on a GPU against plain operators, and whole networks. Run by run.sh, on
// machines that have a GPU.
#include <gtest/gtest.h>

#include <random>

#include "nn/network.h"
#include "pair_cases.h"

namespace bsm {
namespace {

using testing::PairCase;
using torch::Tensor;

const torch::Device kGpu(torch::kCUDA, 0);

/// Every state and head size, lengths around that of a chunk (64), one and many slices, then sizes drawn at
/// random.
std::vector<PairCase> cases() {
  std::vector<PairCase> list = {
      {2, 1, 2, 16, {128, 32, 64, 4}},
      {1, 2, 3, 8, {64, 64, 32, 4}},
      {5, 40, 1, 96, {192, 64, 64, 4}, true, 1},
      {3, 63, 2, 64, {64, 128, 64, 3}, false},
      {4, 64, 1, 32, {128, 128, 32, 2}},
      {2, 65, 2, 32, {64, 32, 32, 4}},
      {1, 300, 40, 96, {192, 64, 64, 4}},
      {1, 800, 6, 256, {1024, 128, 64, 4}, true, int64_t{16} << 20},
      {100, 62, 1, 256, {1024, 128, 64, 4}, true, int64_t{16} << 20},
      {2, 129, 5, 256, {2048, 128, 64, 4}},
  };
  std::mt19937 random(7);
  const auto draw = [&](int64_t from, int64_t to) {
    return from + static_cast<int64_t>(random() % (to - from + 1));
  };
  for (int i = 0; i < 16; ++i) {
    const int64_t P = 32 * draw(1, 2);
    list.push_back({draw(1, 4),
                    draw(1, 200),
                    draw(1, 4),
                    8 * draw(1, 32),
                    {P * draw(2, 8), 32 << draw(0, 2), P, draw(2, 4)},
                    draw(0, 1) == 1,
                    draw(0, 1) ? 1 : kPairSliceBytes});
  }
  return list;
}

class PairCuda : public ::testing::TestWithParam<PairCase> {};

TEST_P(PairCuda, Bfloat16) {
  torch::manual_seed(1);
  EXPECT_LT(testing::pair_error(GetParam(), kGpu, torch::kBFloat16), 2e-2);
}

TEST_P(PairCuda, Float16) {
  torch::manual_seed(2);
  EXPECT_LT(testing::pair_error(GetParam(), kGpu, torch::kFloat16), 5e-3);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PairCuda, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return std::to_string(info.index); });

TEST(PairCudaState, ContinuesAndIsTakenInTheMiddle) {
  for (const MixerSizes& sizes :
       {MixerSizes{128, 32, 32, 4}, MixerSizes{192, 64, 64, 4}, MixerSizes{256, 128, 64, 3}}) {
    torch::manual_seed(3);
    const PairCase c{1, 100, 7, 64, sizes};
    EXPECT_LT(testing::pair_stream_error(c, kGpu, torch::kFloat16, {2, 70, 64, 100, 0, 1}), 1e-2);
  }
}

TEST(PairCudaState, ShortPieces) {
  torch::manual_seed(4);
  const PairCase c{2, 5, 3, 16, {64, 32, 64, 4}};
  EXPECT_LT(testing::pair_stream_error(c, kGpu, torch::kFloat16, {1, 1, 2, 5, 5}), 1e-2);
}

void compare_input_projections(const std::vector<int64_t>& tokens, const std::vector<int64_t>& widths) {
  if (!kernels::gpu_has_group_products()) GTEST_SKIP() << "this GPU multiplies with LibTorch here";
  torch::manual_seed(5);
  for (const int64_t n : tokens)
    for (const int64_t width : widths)
      for (const int directions : {1, 2})
        EXPECT_LT(testing::projection_error(n, width, directions, kGpu, torch::kBFloat16), 5e-3)
            << n << " tokens, " << directions << " x " << width << " columns";
}

TEST(PairCudaLaunch, InputProjection) {
  compare_input_projections({1, 63, 64, 65, 500}, {192, 256, 320, 448});
}
TEST(PairCudaLaunch, InputProjectionOfWindows) { compare_input_projections({6200, 49'663}, {2368}); }

/// A whole network of small blocks: bfloat16 through the kernels against float32 in plain operators.
TEST(PairCudaNetwork, MasksEqualThoseOfPlainOperators) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  ModelConfig config;
  config.dim = 64;
  config.depth = 2;
  SeparationNetwork network(config);
  network->to(kGpu);
  network->eval();
  const Tensor frames = torch::randn({2, 90, int64_t{2} * config.channels * config.stft.bins()}).to(kGpu);
  set_mixer_backend(MixerBackend::kPlain);
  const Tensor expected = network->forward(frames);
  set_mixer_backend(MixerBackend::kAuto);
  network->set_compute_dtype(torch::kBFloat16);
  network->prepare_inference();
  EXPECT_LT(testing::relative_error(network->forward(frames), expected), 3e-2);
}

}  // namespace
}  // namespace bsm
