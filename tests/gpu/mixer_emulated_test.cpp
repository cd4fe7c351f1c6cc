// The kernels of the fused mixer core, run on the host by tests/gpu/emulator.h, against the plain core.
#include <gtest/gtest.h>

#include "core/error.h"
#include "emulator.h"
#include "mixer_cases.h"
#include "nn/cuda/cuda_error.h"
#include "nn/cuda/mixer_fused.h"

namespace bsm {

cudaStream_t current_stream(const torch::Tensor&) { return nullptr; }

namespace {

using testing::MixerCase;
using torch::Tensor;

constexpr auto kBackward = Direction::kBackward;

std::vector<MixerCase> cases() {
  return {
      {2, 1, 2, {128, 16, 64, 4}},
      {3, 2, 2, {128, 32, 32, 4}, kBackward},
      {1, 63, 1, {64, 16, 32, 4}, kBackward, 0, 5},
      {2, 64, 1, {64, 16, 64, 4}},
      {1, 65, 1, {96, 16, 32, 3}, kBackward, 3, 0},
      {1, 40, 2, {192, 64, 64, 4}, Direction::kForward, 8, 5},
      {1, 150, 1, {128, 32, 64, 4}, kBackward, 1, 0},
      {1, 133, 1, {64, 128, 32, 2}},
  };
}

class MixerEmulated : public ::testing::TestWithParam<MixerCase> {};

TEST_P(MixerEmulated, Float32) {
  torch::manual_seed(1);
  const auto errors =
      testing::errors_against_plain(GetParam(), torch::kCPU, torch::kFloat32, mixer_core_fused);
  EXPECT_LT(errors[0], 1e-5) << "output";
  for (size_t i = 1; i < errors.size(); ++i) EXPECT_LT(errors[i], 2e-5) << testing::gradient_names()[i - 1];
}

TEST_P(MixerEmulated, Bfloat16) {
  torch::manual_seed(2);
  const auto errors =
      testing::errors_against_plain(GetParam(), torch::kCPU, torch::kBFloat16, mixer_core_fused);
  EXPECT_LT(errors[0], 2e-2) << "output";
  for (size_t i = 1; i < errors.size(); ++i) EXPECT_LT(errors[i], 4e-2) << testing::gradient_names()[i - 1];
}

TEST_P(MixerEmulated, InferenceInFloat32) {
  torch::manual_seed(7);
  EXPECT_LT(testing::inference_error(GetParam(), torch::kCPU, false), 1e-5);
}

TEST_P(MixerEmulated, InferenceInTf32) {
  torch::manual_seed(7);
  const double error = testing::inference_error(GetParam(), torch::kCPU, true);
  EXPECT_LT(error, 5e-4);
  if (GetParam().length > 32) {  // within a chunk it is as exact as float32
    EXPECT_GT(error, 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MixerEmulated, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return std::to_string(info.index); });

struct StateCase {
  torch::Dtype dtype;
  bool tf32;
  double limit;
};
class MixerEmulatedState : public ::testing::TestWithParam<StateCase> {};

TEST_P(MixerEmulatedState, ContinuesAndIsTakenInTheMiddle) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  const MixerCase c{1, 100, 2, {96, 32, 32, 4}, Direction::kForward, 1, 0};
  const MixerWeights weights = testing::make_weights(c.sizes, torch::kCPU);
  MixerState fused, plain;
  for (const int64_t at : {2, 70, 100, 1, 0}) {
    const Tensor in = testing::make_input(c, torch::kCPU, GetParam().dtype);
    at::globalContext().setAllowTF32CuBLAS(GetParam().tf32);
    const Tensor out = mixer_core_fused(in, weights, c.sizes, c.direction, &fused, at);
    at::globalContext().setAllowTF32CuBLAS(false);
    const Tensor expected =
        mixer_core_plain(in.to(torch::kFloat32), weights, c.sizes, c.direction, &plain, at);
    EXPECT_LT(testing::relative_error(out, expected), GetParam().limit) << at;
    EXPECT_LT(testing::relative_error(fused.ssm, plain.ssm), GetParam().limit) << at;
    EXPECT_LT(testing::relative_error(fused.conv, plain.conv), GetParam().limit) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, MixerEmulatedState,
                         ::testing::Values(StateCase{torch::kFloat32, false, 1e-5},
                                           StateCase{torch::kFloat32, true, 1e-3},
                                           StateCase{torch::kFloat16, false, 5e-3}));

// The largest sizes; heads are copied ahead where shared memory allows, and one at a time where it does not.
TEST(MixerEmulatedSharedMemory, LargeAndSmall) {
  const MixerCase c{1, 70, 1, {192, 128, 64, 4}};
  for (const size_t limit : {size_t{227} * 1024, size_t{99} * 1024}) {
    emulator::shared_bytes_limit = limit;
    torch::manual_seed(4);
    const auto errors = testing::errors_against_plain(c, torch::kCPU, torch::kBFloat16, mixer_core_fused);
    for (size_t i = 0; i < errors.size(); ++i) EXPECT_LT(errors[i], 4e-2) << i << " with " << limit;
  }
  emulator::shared_bytes_limit = 1024;
  EXPECT_THROW(testing::errors_against_plain(c, torch::kCPU, torch::kBFloat16, mixer_core_fused), Error);
  emulator::shared_bytes_limit = 227 * 1024;
}

TEST(MixerEmulatedGradient, SecondDerivativesAreRefused) {
  torch::manual_seed(4);
  const MixerCase c{1, 2, 1, {32, 16, 32, 4}};
  const Tensor in = testing::make_input(c, torch::kCPU, torch::kFloat32).requires_grad_();
  const Tensor out =
      mixer_core_fused(in, testing::make_weights(c.sizes, torch::kCPU), c.sizes, c.direction, nullptr, 0);
  EXPECT_THROW(torch::autograd::grad({out.sum()}, {in}, {}, true, true), c10::Error);
}

// A launch may be the first call that reports a lost GPU: the element must see that, as it does from
// LibTorch.
TEST(CudaError, TellsTheGpuFromItsMemory) {
  for (const auto& [cuda, code] : {std::pair{cudaErrorLaunchFailure, ErrorCode::kDevice},
                                   std::pair{cudaErrorMemoryAllocation, ErrorCode::kOutOfMemory}}) {
    try {
      throw_cuda_error(cuda, "running the scan");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find("while running the scan"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace bsm
