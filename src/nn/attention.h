// Attention of the BS-RoFormer baseline: softmax(q k^T / sqrt(head_dim)) v.
#pragma once

#include <torch/types.h>

namespace bsm {

/// Through LibTorch's scaled_dot_product_attention (its fused kernels) where that exists, 2.0 and later; else
/// plain.
/// @param q, k, v [S, heads, L, head_dim]
/// @param dropout of the attention weights; 0: none
torch::Tensor attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                        double dropout);

/// The same in plain operators; large batches in parts, which bounds the memory of the score matrices.
torch::Tensor attention_plain(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                              double dropout);

}  // namespace bsm
