// The attention that is used (LibTorch's own where it exists) against the plain form.
#include "nn/attention.h"

#include "nn_test_util.h"

#include <gtest/gtest.h>

namespace bsm {
namespace {

class Attention : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, int64_t>> {};

TEST_P(Attention, EqualsThePlainFormWithItsGradients) {
  const auto [rows, heads, length, head_dim] = GetParam();
  torch::manual_seed(1);
  std::vector<torch::Tensor> inputs;
  for (int i = 0; i < 3; ++i)  // strided as in the block: [S, L, heads, head_dim] transposed
    inputs.push_back(torch::randn({rows, length, heads, head_dim}).transpose(1, 2).requires_grad_());
  const torch::Tensor out = attention(inputs[0], inputs[1], inputs[2], 0);
  const torch::Tensor plain = attention_plain(inputs[0], inputs[1], inputs[2], 0);
  EXPECT_LT(relative_error(out, plain), 1e-5);
  const torch::Tensor d_out = torch::randn_like(plain);
  const auto gradients = torch::autograd::grad({out}, inputs, {d_out});
  const auto expected = torch::autograd::grad({plain}, inputs, {d_out});
  for (size_t i = 0; i < inputs.size(); ++i) EXPECT_LT(relative_error(gradients[i], expected[i]), 1e-4) << i;
}

INSTANTIATE_TEST_SUITE_P(Sizes, Attention,
                         testing::Values(std::tuple{1, 1, 1, 2}, std::tuple{2, 3, 7, 4},
                                         std::tuple{3, 8, 62, 48}, std::tuple{1, 2, 130, 48}));

// Parts of a large batch: more scores than exist at a time.
TEST(AttentionPlain, LargeBatchesInPartsEqualTheirRows) {
  torch::manual_seed(2);
  const torch::Tensor q = torch::randn({5, 8, 1000, 2}), k = torch::randn_like(q), v = torch::randn_like(q);
  const torch::Tensor all = attention_plain(q, k, v, 0);
  for (int64_t row = 0; row < 5; ++row) {
    const auto part = [row](const torch::Tensor& x) { return x.slice(0, row, row + 1); };
    EXPECT_LT(relative_error(part(all), attention_plain(part(q), part(k), part(v), 0)), 1e-6);
  }
}

}  // namespace
}  // namespace bsm
