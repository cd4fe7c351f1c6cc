// The fused mixer core on a GPU against the plain one. Run by run.sh, on machines that have a GPU.
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <gtest/gtest.h>

#include <random>

#include "mixer_cases.h"
#include "nn/cuda/mixer_cuda.h"

namespace bsm {

namespace {

using testing::MixerCase;
using torch::Tensor;

const torch::Device kGpu(torch::kCUDA, 0);
constexpr auto kBackward = Direction::kBackward;

/// Every state and head size, lengths around the chunk sizes (32 for float32, 64 else), rows that are and are
/// not aligned, then sizes drawn at random.
std::vector<MixerCase> cases() {
  std::vector<MixerCase> list = {
      {2, 1, 3, {128, 16, 64, 4}},
      {3, 2, 2, {128, 32, 32, 4}, kBackward},
      {1, 31, 2, {64, 16, 32, 4}, kBackward, 0, 5},
      {2, 32, 1, {192, 32, 64, 4}},
      {2, 33, 1, {96, 64, 32, 3}, kBackward, 3, 0},
      {2, 63, 1, {128, 128, 32, 4}, kBackward, 1, 1},
      {2, 64, 3, {128, 128, 64, 4}},
      {1, 65, 2, {128, 128, 64, 2}, kBackward},
      {4, 40, 1, {192, 64, 64, 4}, Direction::kForward, 515, 0},
      {2, 200, 5, {192, 64, 64, 4}, kBackward, 0, 515},
      {1, 800, 6, {1024, 128, 64, 4}},
      {12, 62, 1, {1024, 128, 64, 4}, kBackward},
      {1, 200, 2, {2048, 128, 64, 4}, Direction::kForward, 0, 2 * 2048 + 2 * 128 + 32},
  };
  std::mt19937 random(5);
  const auto draw = [&](int64_t from, int64_t to) {
    return from + static_cast<int64_t>(random() % (to - from + 1));
  };
  for (int i = 0; i < 12; ++i) {
    const int64_t P = 32 * draw(1, 2);
    list.push_back({draw(1, 4),
                    draw(1, 200),
                    draw(1, 4),
                    {P * draw(2, 8), 16 << draw(0, 3), P, draw(2, 4)},
                    draw(0, 1) ? kBackward : Direction::kForward,
                    draw(0, 9),
                    draw(0, 9)});
  }
  return list;
}

class MixerCuda : public ::testing::TestWithParam<MixerCase> {
 protected:
  void compare(torch::Dtype dtype, double output_limit, double gradient_limit) {
    const MixerCase& c = GetParam();
    torch::manual_seed(1);
    ASSERT_TRUE(mixer_core_cuda_supports(testing::make_input(c, kGpu, dtype),
                                         testing::make_weights(c.sizes, kGpu), c.sizes));
    const auto errors = testing::errors_against_plain(c, kGpu, dtype, mixer_core_cuda);
    EXPECT_LT(errors[0], output_limit) << "output";
    // Steps one or two long: some gradients are differences that 16 bits do not hold.
    if (dtype != torch::kFloat32 && c.length < 8) return;
    for (size_t i = 1; i < errors.size(); ++i)
      EXPECT_LT(errors[i], gradient_limit) << testing::gradient_names()[i - 1];
  }
};

TEST_P(MixerCuda, Float32) { compare(torch::kFloat32, 1e-4, 5e-4); }
TEST_P(MixerCuda, Bfloat16) { compare(torch::kBFloat16, 2e-2, 4e-2); }
TEST_P(MixerCuda, Float16) { compare(torch::kFloat16, 5e-3, 2e-2); }

TEST_P(MixerCuda, InferenceInFloat32) {
  torch::manual_seed(7);
  EXPECT_LT(testing::inference_error(GetParam(), kGpu, false), 1e-4);
}

TEST_P(MixerCuda, InferenceInTf32) {
  torch::manual_seed(7);
  EXPECT_LT(testing::inference_error(GetParam(), kGpu, true), 1e-3);
}

TEST_P(MixerCuda, RepeatsBitByBit) {
  const MixerCase& c = GetParam();
  torch::manual_seed(2);
  const Tensor input = testing::make_input(c, kGpu, torch::kBFloat16);
  const MixerWeights weights = testing::make_weights(c.sizes, kGpu);
  const Tensor d_out = torch::randn({c.outer, c.length, c.inner, c.sizes.d_inner}, kGpu);
  const auto first = testing::run_with_gradients(c, input, weights, d_out, mixer_core_cuda);
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto again = testing::run_with_gradients(c, input, weights, d_out, mixer_core_cuda);
    for (size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(torch::equal(first[i], again[i])) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MixerCuda, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return std::to_string(info.index); });

class MixerCudaState : public ::testing::TestWithParam<torch::Dtype> {};

TEST_P(MixerCudaState, ContinuesAndIsTakenAnywhere) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  const MixerCase c{2, 150, 3, {256, 128, 64, 4}, Direction::kForward, 1, 0};
  const MixerWeights weights = testing::make_weights(c.sizes, kGpu);
  const double limit = GetParam() == torch::kFloat32 ? 1e-4 : GetParam() == torch::kFloat16 ? 5e-3 : 2e-2;
  MixerState fused, plain;
  for (const int64_t at : {1, 64, 100, 150, 3, 0}) {
    const Tensor in = testing::make_input(c, kGpu, GetParam());
    const Tensor out = mixer_core_cuda(in, weights, c.sizes, c.direction, &fused, at);
    const Tensor expected =
        mixer_core_plain(in.to(torch::kFloat32), weights, c.sizes, c.direction, &plain, at);
    EXPECT_LT(testing::relative_error(out, expected), limit) << at;
    EXPECT_LT(testing::relative_error(fused.ssm, plain.ssm), limit) << at;
    EXPECT_LT(testing::relative_error(fused.conv, plain.conv), 1e-6) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, MixerCudaState,
                         ::testing::Values(torch::kFloat32, torch::kBFloat16, torch::kFloat16),
                         [](const auto& info) { return torch::toString(info.param); });

TEST(MixerCudaDispatch, MixerCoreTakesTheKernels) {
  const MixerCase c{2, 70, 3, {128, 64, 64, 4}};
  torch::manual_seed(4);
  const Tensor in = testing::make_input(c, kGpu, torch::kBFloat16);
  const MixerWeights weights = testing::make_weights(c.sizes, kGpu);
  const Tensor dispatched = mixer_core(in, weights, c.sizes, c.direction);
  EXPECT_TRUE(torch::equal(dispatched, mixer_core_cuda(in, weights, c.sizes, c.direction, nullptr, 0)));
  EXPECT_FALSE(torch::equal(dispatched, mixer_core_plain(in, weights, c.sizes, c.direction)));
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(dispatched, mixer_core(in, weights, c.sizes, c.direction)));
}

TEST(MixerCudaDispatch, OtherSizesAndDevicesAreLeftToThePlainCore) {
  const auto supported = [](const MixerSizes& sizes, torch::Device device, torch::Dtype dtype) {
    const MixerCase c{1, 4, 1, sizes};
    return mixer_core_cuda_supports(testing::make_input(c, device, dtype),
                                    testing::make_weights(sizes, device), sizes);
  };
  EXPECT_TRUE(supported({128, 64, 64, 4}, kGpu, torch::kFloat32));
  EXPECT_FALSE(supported({128, 64, 64, 4}, torch::kCPU, torch::kFloat32));
  EXPECT_FALSE(supported({128, 64, 64, 4}, kGpu, torch::kFloat64));
  EXPECT_FALSE(supported({128, 24, 64, 4}, kGpu, torch::kFloat32));
  EXPECT_FALSE(supported({128, 64, 16, 4}, kGpu, torch::kFloat32));
  EXPECT_FALSE(supported({128, 64, 64, 5}, kGpu, torch::kFloat32));
}

TEST(MixerCudaStream, UsesTheCurrentStream) {
  const MixerCase c{4, 300, 16, {512, 128, 64, 4}};
  torch::manual_seed(5);
  const torch::NoGradGuard no_grad;
  const MixerWeights weights = testing::make_weights(c.sizes, kGpu);
  const Tensor in = testing::make_input(c, kGpu, torch::kBFloat16);
  const Tensor expected = mixer_core_cuda(in, weights, c.sizes, c.direction, nullptr, 0);
  torch::cuda::synchronize();
  const auto side = c10::cuda::getStreamFromPool();
  Tensor out;
  {
    // The input arrives on the side stream after slow work: kernels on any other stream would read zeros.
    const c10::cuda::CUDAStreamGuard guard(side);
    const Tensor slow = torch::randn({4096, 4096}, kGpu);
    Tensor late = torch::zeros_like(in);
    side.synchronize();
    Tensor product = slow;
    for (int i = 0; i < 20; ++i) product = product.matmul(slow);
    late.copy_(in + product.sum().isnan().to(torch::kBFloat16) * 0);
    out = mixer_core_cuda(late, weights, c.sizes, c.direction, nullptr, 0);
    side.synchronize();
  }
  EXPECT_TRUE(torch::equal(out, expected));
}

}  // namespace
}  // namespace bsm
