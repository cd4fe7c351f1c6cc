// Band split and mask heads of the CPU against plain operators in double, on every instruction set this
// processor has.
#include "nn/cpu/bands_cpu.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "nn/cpu/cpu_level.h"

namespace bsm {
namespace {

using torch::Tensor;

std::vector<BandLinear> random_bands(const std::vector<int64_t>& in, const std::vector<int64_t>& out) {
  std::vector<BandLinear> bands;
  for (size_t k = 0; k < in.size(); ++k)
    bands.push_back(
        {torch::randn({in[k], out[k]}) / std::sqrt(static_cast<double>(in[k])), torch::randn({out[k]})});
  return bands;
}

Tensor unit(const Tensor& x) { return x / x.norm(2, {-1}, true).clamp_min(1e-12); }
Tensor linear(const Tensor& x, const BandLinear& band) {
  return x.matmul(band.weight.to(torch::kFloat64)) + band.bias.to(torch::kFloat64);
}

double largest_difference(const Tensor& found, const Tensor& expected) {
  if (found.sizes() != expected.sizes()) return INFINITY;
  return (found.to(torch::kFloat64) - expected).abs().max().item<double>();
}

class BandsCpu : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    torch::manual_seed(5);
    force_cpu_level(available_cpu_kernels()[GetParam()].level);
  }
  void TearDown() override { force_cpu_level(std::nullopt); }
  const torch::NoGradGuard no_grad_;
};

TEST_P(BandsCpu, FeaturesEqualPlainOperators) {
  const std::vector<int64_t> widths{4, 8, 17, 48, 3};
  for (const int64_t dim : {1, 12, 96}) {
    const auto bands = random_bands(widths, std::vector<int64_t>(widths.size(), dim));
    const BandFeaturesCpu features(bands);
    for (const int64_t frames : {1, 5, 97, 200}) {
      Tensor x = torch::randn({2, frames, 80});
      x.select(1, 0).zero_();  // silence: what the norm must not divide by
      std::vector<Tensor> expected;
      int64_t first = 0;
      for (size_t k = 0; k < widths.size(); first += widths[k++])
        expected.push_back(linear(unit(x.to(torch::kFloat64).narrow(2, first, widths[k])), bands[k]));
      EXPECT_LE(largest_difference(features.forward(x), torch::stack(expected, 2)), 1e-5)
          << "dim " << dim << ", " << frames << " frames";
    }
  }
}

TEST_P(BandsCpu, MasksEqualPlainOperators) {
  const std::vector<int64_t> widths{4, 8, 17, 48, 3};
  for (const int64_t dim : {1, 12, 96}) {
    const int64_t hidden = 3 * dim;
    std::vector<int64_t> out_widths;
    for (const int64_t width : widths) out_widths.push_back(2 * width);
    const auto first =
        random_bands(std::vector<int64_t>(widths.size(), dim), std::vector<int64_t>(widths.size(), hidden));
    const auto second = random_bands(std::vector<int64_t>(widths.size(), hidden), out_widths);
    const BandMasksCpu masks(first, second);
    for (const int64_t frames : {1, 5, 97, 200}) {
      // A slice of frames, as streaming asks for.
      const Tensor x = torch::randn({2, frames + 3, 5, dim}).slice(1, 2, frames + 2);
      std::vector<Tensor> expected;
      for (int64_t k = 0; k < 5; ++k) {
        const auto band = static_cast<size_t>(k);
        const Tensor units = linear(unit(x.select(2, k).to(torch::kFloat64)), first[band]).tanh();
        expected.push_back(torch::glu(linear(units, second[band]), -1));
      }
      EXPECT_LE(largest_difference(masks.forward(x), torch::cat(expected, 2)), 1e-5)
          << "dim " << dim << ", " << frames << " frames";
    }
  }
}

TEST_P(BandsCpu, MasksOfValuesThatAreNotFiniteAreNotFinite) {
  const auto first = random_bands({12}, {24}), second = random_bands({24}, {8});
  for (const float value : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    auto broken = first;
    broken[0].weight = first[0].weight.clone();
    broken[0].weight[3][5] = value;
    EXPECT_FALSE(torch::isfinite(BandMasksCpu(broken, second).forward(torch::randn({1, 2, 1, 12})))
                     .any()
                     .item<bool>());
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, BandsCpu,
                         ::testing::Range(0, static_cast<int>(available_cpu_kernels().size())),
                         [](const auto& info) {
                           return std::string(available_cpu_kernels()[info.param].name);
                         });

}  // namespace
}  // namespace bsm
