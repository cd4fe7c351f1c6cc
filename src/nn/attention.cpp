#include "nn/attention.h"

#include <torch/torch.h>

namespace bsm {

using torch::Tensor;

namespace {

/// Bound of the score matrices [rows, heads, L, L] that exist at a time when they are formed explicitly.
constexpr int64_t kScoreElements = int64_t{1} << 24;

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, double dropout) {
#if TORCH_VERSION_MAJOR >= 2
  return torch::scaled_dot_product_attention(q, k, v, {}, dropout);
#else
  return attention_plain(q, k, v, dropout);
#endif
}

Tensor attention_plain(const Tensor& q, const Tensor& k, const Tensor& v, double dropout) {
  const int64_t S = q.size(0), heads = q.size(1), L = q.size(2);
  const int64_t rows = std::max<int64_t>(1, kScoreElements / (heads * L * L));
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
  std::vector<Tensor> parts;
  for (int64_t begin = 0; begin < S; begin += rows) {
    const int64_t end = std::min(S, begin + rows);
    Tensor weights =
        (q.slice(0, begin, end) * scale).matmul(k.slice(0, begin, end).transpose(2, 3)).softmax(-1);
    if (dropout > 0) weights = torch::dropout(weights, dropout, true);
    parts.push_back(weights.matmul(v.slice(0, begin, end)));
  }
  return torch::cat(parts, 0);
}

}  // namespace bsm
