// Launch functions of the fused mixer kernels (see nn/mixer.h for what is computed). They know nothing of
// LibTorch: raw device pointers, sizes and a stream; each returns the error of its launch.
//
// Two orders of elements occur. "Input order" is that of zxbcdt. "Scan order" numbers the elements of a
// sequence in the direction of the scan, so that only the kernels at both ends (convolution, gate) know that
// a scan may run backward. Buffers between the kernels are contiguous in scan order:
//   xbc, d_xbc [S, L, conv_channels]   after the convolution and SiLU: x | B | C, in the type of the input
//   y, d_y     [S, L, d_inner]         output of the scan before the gate, in the type of the input
//   dt         [S, H, L] float32       after softplus
//   states     [S, slots, H, P, N]     state at the border of each chunk, in the type of the input
// with S = outer * inner sequences, numbered outer-major.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace bsm::kernels {

enum class Scalar { kFloat32, kFloat16, kBfloat16 };

/// A strided [outer, L, inner, in_proj_width] tensor; strides in elements, the last dimension is contiguous.
struct Strided {
  const void* data = nullptr;
  int64_t stride_outer = 0;
  int64_t stride_length = 0;
  int64_t stride_inner = 0;
};

/// Sizes that all kernels of one call share.
struct MixerShape {
  Scalar scalar = Scalar::kFloat32;
  /// launch_infer_...() only: the scan's products are single ones of TF32, where they else make up float32.
  /// Not for gradients: that of A_log would be off by 4e-3.
  bool single_products = false;
  bool reversed = false;  ///< the scan runs from the last element to the first
  int64_t outer = 0;
  int64_t inner = 0;
  int length = 0;  ///< L
  int d_inner = 0;
  int state = 0;     ///< N
  int head_dim = 0;  ///< P
  int conv_width = 0;

  int64_t sequences() const { return outer * inner; }
  int64_t tokens() const { return sequences() * length; }
  int heads() const { return d_inner / head_dim; }
  int conv_channels() const { return d_inner + 2 * state; }
  int in_proj_width() const { return 2 * d_inner + 2 * state + heads(); }
  /// Elements that the scan takes at once; float32 has half as many, for the sake of shared memory.
  int chunk() const { return scalar == Scalar::kFloat32 ? 32 : 64; }
  int chunks() const { return (length + chunk() - 1) / chunk(); }
};

/// Longest convolution that the kernels take (shorter ones run with leading zeros).
constexpr int kMaxConvWidth = 4;
/// Whether the kernels exist for this state and head size.
bool scan_supports(int state, int head_dim);
/// Shared memory that a block of the backward scan needs, the largest of all kernels.
size_t scan_shared_bytes(const MixerShape& shape);

/// Causal depthwise convolution and SiLU of [x | B | C]; dt = softplus(raw + dt_bias).
/// @param conv_state null (zeros) or [S, conv_width - 1, conv_channels], the inputs before the first, oldest
/// first
cudaError_t launch_conv_forward(const MixerShape& shape, const Strided& zxbcdt, const float* conv_weight,
                                const float* conv_bias, const float* dt_bias, const float* conv_state,
                                void* xbc, float* dt, cudaStream_t stream);

/// The last conv_width - 1 inputs of the convolution before element `at`. `before` as conv_state above.
cudaError_t launch_conv_state(const MixerShape& shape, const Strided& zxbcdt, const float* before, int at,
                              float* after, cudaStream_t stream);

/// Blocks of launch_conv_backward(), each of which writes one row of `partial`.
int conv_backward_blocks(const MixerShape& shape);
/// Gradient of launch_conv_forward() but for dt: writes the [x | B | C] columns of d_zxbcdt (contiguous
/// [outer, L, inner, in_proj_width]).
/// @param partial [blocks, kMaxConvWidth + 1, conv_channels]: sums over the block's elements of d conv_weight
/// (tap by
///                tap, right-aligned to kMaxConvWidth) and d conv_bias
cudaError_t launch_conv_backward(const MixerShape& shape, const Strided& zxbcdt, const float* conv_weight,
                                 const float* conv_bias, const void* d_xbc, void* d_zxbcdt, float* partial,
                                 cudaStream_t stream);

/// The recurrence over chunks, with E_t = sum of dt A over the chunk up to and with t and E its total:
///   forward (d_y null): h <- exp(E) h + sum_s exp(E - E_s) dt_s x_s B_s^T, chunks from first to last;
///   adjoint (d_y given): G <- exp(E) G + sum_t exp(E_t) d_y_t C_t^T, chunks from last to first.
/// @param initial    null (zeros) or [S, H, P, N], the state before the first chunk taken
/// @param length     elements to take, at most L
/// @param states     null or the states before each chunk is taken; the first chunk taken has no slot unless
///                   `initial` is given. Slot of chunk c: forward c (c - 1 without initial), adjoint c.
/// @param final_state null or [S, H, P, N], the state after `length` elements
cudaError_t launch_scan_states(const MixerShape& shape, const void* xbc, const void* d_y, const float* dt,
                               const float* A_log, const float* initial, int length, void* states,
                               float* final_state, cudaStream_t stream);

/// y_t = sum_{s <= t in chunk} exp(E_t - E_s) (C_t . B_s) dt_s x_s + exp(E_t) h C_t + D x_t.
/// @param states of launch_scan_states(); null when there is one chunk and no initial state
/// @param has_initial whether the first chunk has a slot in `states`
cudaError_t launch_scan_forward(const MixerShape& shape, const void* xbc, const float* dt, const float* A_log,
                                const float* D, const void* states, bool has_initial, void* y,
                                cudaStream_t stream);

/// Gradient of the scan without initial state. Writes d_xbc and the dt columns of d_zxbcdt.
/// @param states, adjoint of launch_scan_states(), forward and adjoint; both null when there is one chunk
/// @param partial [S * chunks, 3, H]: sums over a chunk of d A_log, d dt_bias, d D
cudaError_t launch_scan_backward(const MixerShape& shape, const void* xbc, const float* dt,
                                 const float* A_log, const float* D, const void* d_y, const void* states,
                                 const void* adjoint, void* d_xbc, void* d_zxbcdt, float* partial,
                                 cudaStream_t stream);

/// out = RMSNorm(y * SiLU(z)) * norm_weight, contiguous [outer, L, inner, d_inner].
cudaError_t launch_gate_forward(const MixerShape& shape, const Strided& zxbcdt, const void* y,
                                const float* norm_weight, void* out, cudaStream_t stream);

/// Blocks of launch_gate_backward(), each of which writes one row of `partial`.
int gate_backward_blocks(const MixerShape& shape);
/// Gradient of launch_gate_forward(): d_y and the z columns of d_zxbcdt.
/// @param d_out   contiguous like out
/// @param partial [blocks, d_inner]: sums over the block's tokens of d norm_weight
cudaError_t launch_gate_backward(const MixerShape& shape, const Strided& zxbcdt, const void* y,
                                 const float* norm_weight, const void* d_out, void* d_y, void* d_zxbcdt,
                                 float* partial, cudaStream_t stream);

}  // namespace bsm::kernels
