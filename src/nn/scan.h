// The state space scan of Mamba2 and its causal convolution in plain tensor operators: differentiable, any
// device.
//
// Per head h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T and y_t = h_t C_t (Dao & Gu 2024, arXiv 2405.21060, eq.
// 1 and 2 with one B/C group). scan_reference() is that recurrence; scan_chunked() is the state space dual
// form (section 6).
//
// Shapes: S sequences, L elements, H heads, head size P, state size N, chunk length Q. All floating point
// tensors of one call share a dtype (float32 or float64) and a device.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace bsm {

struct ScanInput {
  torch::Tensor x;              ///< [S, L, H, P]
  torch::Tensor dt;             ///< [S, L, H], after softplus: >= 0
  torch::Tensor A;              ///< [H], negative
  torch::Tensor B;              ///< [S, L, N]
  torch::Tensor C;              ///< [S, L, N]
  torch::Tensor initial_state;  ///< [S, H, P, N], or undefined for zeros
};

struct ScanOutput {
  torch::Tensor y;            ///< [S, L, H, P], without the D skip
  torch::Tensor final_state;  ///< [S, H, P, N]
};

/// One step per element. The definition that every other scan is held to.
ScanOutput scan_reference(const ScanInput& input);

/// Matrix products over chunks of `chunk` elements, one short recurrence over the chunks. Any L >= 1 (the
/// last chunk may be shorter), any chunk >= 1.
ScanOutput scan_chunked(const ScanInput& input, int64_t chunk = 64);

struct ConvOutput {
  torch::Tensor y;            ///< [S, L, channels]
  torch::Tensor final_state;  ///< [S, width - 1, channels]: the last inputs, oldest first
};

/// Causal depthwise convolution: y_t = bias + sum_j weight[:, j] u_{t - width + 1 + j}.
/// @param u [S, L, channels]  @param weight [channels, width]  @param bias [channels]
/// @param initial_state [S, width - 1, channels] the inputs before u, or undefined for zeros
ConvOutput causal_conv(const torch::Tensor& u, const torch::Tensor& weight, const torch::Tensor& bias,
                       const torch::Tensor& initial_state);

}  // namespace bsm
