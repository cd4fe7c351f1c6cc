// What the CPU kernels are made of: elementwise functions on every instruction set this processor has, and
// the plan of chunks.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "nn/cpu/cpu_level.h"

namespace bsm {
namespace {

class CpuKernelsTest : public ::testing::TestWithParam<int> {};

TEST_P(CpuKernelsTest, ElementwiseFunctionsHoldTheirPrecision) {
  const CpuKernels& kernels = available_cpu_kernels()[GetParam()];
  std::vector<float> xs;
  for (int i = 0; i <= 200000; ++i) xs.push_back(-87.0f + 175.0f * static_cast<float>(i) / 200000.0f);
  for (float tiny = 1e-30f; tiny < 1.0f; tiny *= 3.0f) xs.insert(xs.end(), {tiny, -tiny});
  xs.push_back(0.0f);
  const auto worst = [&](void (*function)(float*, int64_t), double (*exact)(double)) {
    std::vector<float> values = xs;
    function(values.data(), static_cast<int64_t>(values.size()));
    double error = 0.0;
    for (size_t i = 0; i < xs.size(); ++i) {
      const double expected = exact(xs[i]);
      if (std::abs(expected) < std::numeric_limits<float>::min()) continue;
      // Of what the reduction of the argument may lose.
      const double allowed = 4e-7 + 1.5e-8 * std::abs(xs[i]);
      error = std::max(error, std::abs(values[i] - expected) / std::abs(expected) / allowed);
    }
    return error;
  };
  EXPECT_LE(worst(kernels.exp, [](double x) { return std::exp(x); }), 1.0);
  EXPECT_LE(worst(kernels.silu, [](double x) { return x / (1.0 + std::exp(-x)); }), 1.0);
  EXPECT_LE(worst(kernels.softplus, [](double x) { return std::log1p(std::exp(x)); }), 1.0);

  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> extremes{-infinity, -1e30f, -200.0f, 200.0f, 1e30f, std::nanf("")};
  std::vector<float> e = extremes, sp = extremes, si = extremes;
  kernels.exp(e.data(), 6);
  kernels.softplus(sp.data(), 6);
  kernels.silu(si.data(), 6);
  for (int i : {0, 1, 2}) {
    EXPECT_GE(e[i], 0.0f);
    EXPECT_LT(e[i], 2e-38f);
    EXPECT_LT(sp[i], 2e-38f);
  }
  EXPECT_FLOAT_EQ(sp[3], 200.0f);
  EXPECT_FLOAT_EQ(sp[4], 1e30f);
  EXPECT_FLOAT_EQ(si[4], 1e30f);
  EXPECT_NEAR(si[2], 0.0f, 1e-35f);
  EXPECT_TRUE(std::isnan(si[5]));
}

INSTANTIATE_TEST_SUITE_P(Levels, CpuKernelsTest,
                         ::testing::Range(0, static_cast<int>(available_cpu_kernels().size())),
                         [](const auto& info) {
                           return std::string(available_cpu_kernels()[info.param].name);
                         });

TEST(ChunkPlan, CoversTheSequenceAndCutsAtTheState) {
  for (int64_t length : {0, 1, 2, 50, 257, 800, 5000}) {
    for (int64_t state_at : {int64_t{0}, int64_t{1}, length / 2, length}) {
      if (state_at > length) continue;
      for (bool has_state : {false, true}) {
        const auto chunks = plan_chunks(length, 192, 64, has_state, state_at > 0, state_at);
        int64_t next = 0;
        bool cut = state_at == 0;
        for (const ScanChunk& chunk : chunks) {
          EXPECT_EQ(chunk.begin, next);
          EXPECT_GE(chunk.length, 1);
          EXPECT_EQ(chunk.reads_state, has_state || next > 0);
          next += chunk.length;
          EXPECT_EQ(chunk.writes_state, next < length || (state_at > 0 && next == state_at));
          cut = cut || next == state_at;
        }
        EXPECT_EQ(next, length);
        EXPECT_TRUE(cut) << length << " " << state_at;
      }
    }
  }
}

}  // namespace
}  // namespace bsm
