// Gradient of the causal depthwise convolution with SiLU.
//
// The convolution is computed again along each piece; the last inputs and the last gradients before SiLU stay
// in registers. Gradients of taps and bias are summed over all pieces of a block. Which pieces those are is
// fixed, so results repeat bit by bit.
#include "nn/cuda/conv.cuh"

namespace bsm::kernels {

namespace {

constexpr int64_t kMaxBlocks = 512;

template <typename T>
struct ConvBackwardArguments {
  const T* in;  // column of the first channel in zxbcdt
  const float* weight;
  const float* bias;
  const T* d_xbc;
  T* d_in;  // column of the first channel in d_zxbcdt
  float* partial;
  Rows rows, d_rows;
  int64_t items;  // pieces of all sequences
  int channels, width;
};

template <typename T, int V>
__global__ void __launch_bounds__(kConvThreads) conv_backward_kernel(ConvBackwardArguments<T> a, int pieces) {
  const int channel = (static_cast<int>(blockIdx.y) * kConvThreads + static_cast<int>(threadIdx.x)) * V;
  const int length = a.rows.length;
  float taps[kTaps][V], bias[V], d_taps[kTaps][V] = {}, d_bias[V] = {};
  load_taps<V>(a.weight, channel, a.channels, a.width, taps);
  if (channel >= a.channels) return;
#pragma unroll
  for (int i = 0; i < V; ++i) bias[i] = a.bias[channel + i];

  for (int64_t item = blockIdx.x; item < a.items; item += gridDim.x) {
    const int64_t sequence = item / pieces;
    const int begin = static_cast<int>(item % pieces) * kPiece, end = min(begin + kPiece, length);
    const T* in = a.in + a.rows.sequence(sequence) + channel;
    const T* d_xbc = a.d_xbc + sequence * length * a.channels + channel;
    T* d_in = a.d_in + a.d_rows.sequence(sequence) + channel;
    float past[kTaps][V] = {},
          slope[kTaps][V] = {};  // inputs and gradients before SiLU of elements l - 3 ... l
#pragma unroll
    for (int k = 1; k < kTaps; ++k)
      if (begin - kTaps + k >= 0) load_floats(in + a.rows.element(begin - kTaps + k), past[k]);
    // The gradient of element l - 3 needs those before SiLU up to l.
    for (int l0 = begin; l0 < end + kTaps - 1; l0 += kAtOnce) {
      Pack<T, V> loaded[kAtOnce], d_loaded[kAtOnce];
#pragma unroll
      for (int r = 0; r < kAtOnce; ++r) {
        if (l0 + r >= length) continue;
        loaded[r] = load_pack<V>(in + a.rows.element(l0 + r));
        d_loaded[r] = load_pack<V>(d_xbc + static_cast<int64_t>(l0 + r) * a.channels);
      }
#pragma unroll
      for (int r = 0; r < kAtOnce; ++r) {
        const int l = l0 + r, done = l - (kTaps - 1);
        const bool inside = l < length;
        float out[V];
#pragma unroll
        for (int i = 0; i < V; ++i) {
#pragma unroll
          for (int k = 0; k + 1 < kTaps; ++k) {
            past[k][i] = past[k + 1][i];
            slope[k][i] = slope[k + 1][i];
          }
          past[kTaps - 1][i] = inside ? to_float(loaded[r].v[i]) : 0.0f;
          float before = bias[i];
#pragma unroll
          for (int k = 0; k < kTaps; ++k) before += taps[k][i] * past[k][i];
          slope[kTaps - 1][i] = inside ? to_float(d_loaded[r].v[i]) * silu_slope(before) : 0.0f;
          if (l < end) {
            d_bias[i] += slope[kTaps - 1][i];
#pragma unroll
            for (int k = 0; k < kTaps; ++k) d_taps[k][i] += slope[kTaps - 1][i] * past[k][i];
          }
          out[i] = 0;
#pragma unroll
          for (int k = 0; k < kTaps; ++k) out[i] += taps[k][i] * slope[kTaps - 1 - k][i];
        }
        if (done >= begin && done < end) store_pack<V>(d_in + a.d_rows.element(done), out);
      }
    }
  }
  float* partial = a.partial + static_cast<int64_t>(blockIdx.x) * (kTaps + 1) * a.channels + channel;
#pragma unroll
  for (int i = 0; i < V; ++i) {
#pragma unroll
    for (int k = 0; k < kTaps; ++k) partial[k * a.channels + i] = d_taps[k][i];
    partial[kTaps * a.channels + i] = d_bias[i];
  }
}

int64_t pieces_of(const MixerShape& shape) { return (shape.length + kPiece - 1) / kPiece; }

}  // namespace

int conv_backward_blocks(const MixerShape& shape) {
  const int64_t items = shape.sequences() * pieces_of(shape);
  return static_cast<int>(items < kMaxBlocks ? items : kMaxBlocks);
}

cudaError_t launch_conv_backward(const MixerShape& shape, const Strided& zxbcdt, const float* conv_weight,
                                 const float* conv_bias, const void* d_xbc, void* d_zxbcdt, float* partial,
                                 cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    constexpr int V = 4;
    const Strided d_in = contiguous(shape, static_cast<const T*>(d_zxbcdt));
    const ConvBackwardArguments<T> arguments{static_cast<const T*>(zxbcdt.data) + shape.d_inner,
                                             conv_weight,
                                             conv_bias,
                                             static_cast<const T*>(d_xbc),
                                             static_cast<T*>(d_zxbcdt) + shape.d_inner,
                                             partial,
                                             Rows(shape, zxbcdt),
                                             Rows(shape, d_in),
                                             shape.sequences() * pieces_of(shape),
                                             shape.conv_channels(),
                                             shape.conv_width};
    const bool packs = rows_aligned<T, V>(zxbcdt, shape.d_inner) && rows_aligned<T, V>(d_in, shape.d_inner);
    const int per_block = kConvThreads * (packs ? V : 1);
    const dim3 grid(static_cast<unsigned>(conv_backward_blocks(shape)),
                    static_cast<unsigned>((shape.conv_channels() + per_block - 1) / per_block));
    return launch(packs ? conv_backward_kernel<T, V> : conv_backward_kernel<T, 1>, grid, kConvThreads,
                  taps_shared_bytes(packs ? V : 1), stream, arguments, static_cast<int>(pieces_of(shape)));
  });
}

}  // namespace bsm::kernels
