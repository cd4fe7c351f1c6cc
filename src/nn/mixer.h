// The part of a Mamba2 mixer between its two projections: causal depthwise convolution, SiLU, state space
// scan, gate, RMSNorm (Dao & Gu 2024, arXiv 2405.21060; layout of the published mamba2 package).
//
// This is where a plain implementation spends its time, so it exists twice behind one signature: in plain
// tensor operators (the reference, differentiable, any device) and as fused CUDA kernels (differentiable as
// well). Inference has operators for a whole block of two mixers besides: nn/cpu/pair_cpu.h and
// nn/cuda/pair_cuda.h. Tests hold them together.
#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>

namespace bsm {

/// Learned values of one mixer core. All contiguous float32 on the device of the input.
struct MixerWeights {
  torch::Tensor conv_weight;  ///< [conv_channels, conv_width]
  torch::Tensor conv_bias;    ///< [conv_channels]
  torch::Tensor dt_bias;      ///< [H]
  torch::Tensor A_log;        ///< [H]
  torch::Tensor D;            ///< [H]
  torch::Tensor norm_weight;  ///< [d_inner]
};

struct MixerSizes {
  int64_t d_inner = 0;
  int64_t state = 0;     ///< N
  int64_t head_dim = 0;  ///< P
  int64_t conv_width = 0;
  int64_t heads() const { return d_inner / head_dim; }
  int64_t conv_channels() const { return d_inner + 2 * state; }
  int64_t in_proj_width() const { return 2 * d_inner + 2 * state + heads(); }
};

/// What a forward-running mixer remembers of the past, for S sequences. float32.
/// An undefined tensor stands for zeros (the start of a signal).
struct MixerState {
  torch::Tensor
      conv;  ///< [S, conv_width - 1, conv_channels]: the last inputs of the convolution, oldest first
  torch::Tensor ssm;  ///< [S, H, P, N]
};

enum class Direction { kForward, kBackward };

/// Runs the core over sequences that lie strided in memory.
///
/// @param zxbcdt  [outer, L, inner, E], E = sizes.in_proj_width(), last dimension contiguous (rows may be
/// slices of a
///                wider tensor: any strides in the first three dimensions). Sequence (o, i) is zxbcdt[o, :,
///                i, :]; there are S = outer * inner sequences, numbered o * inner + i. float32, or bfloat16
///                / float16 on CUDA.
/// @param direction kBackward runs each sequence from its last element to its first; the output keeps the
/// input's order.
/// @param state   null, or the state before the first element; replaced by the state after `state_at`
/// elements.
///                Only with kForward.
/// @param state_at number of elements (0..L) after which the state is taken; the scan itself goes on to L.
/// @return [outer, L, inner, d_inner], contiguous, same dtype as the input. Scan and norm run in float32
/// inside.
/// @throws c10::Error on shape mismatch.
torch::Tensor mixer_core(const torch::Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes,
                         Direction direction, MixerState* state = nullptr, int64_t state_at = 0);

/// mixer_core in plain tensor operators. Differentiable with respect to every input and weight.
torch::Tensor mixer_core_plain(const torch::Tensor& zxbcdt, const MixerWeights& weights,
                               const MixerSizes& sizes, Direction direction, MixerState* state = nullptr,
                               int64_t state_at = 0);

/// Which implementation mixer_core() and the blocks may take. kAuto: the fastest that supports device, dtype,
/// sizes and (when a gradient is needed) differentiation; kPlain: always plain operators. Process-wide, for
/// tests and benchmarks.
enum class MixerBackend { kAuto, kPlain };
void set_mixer_backend(MixerBackend backend);
MixerBackend mixer_backend();

}  // namespace bsm
