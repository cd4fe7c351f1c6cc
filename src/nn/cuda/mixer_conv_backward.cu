// Gradient of the causal depthwise convolution with SiLU.
//
// A thread owns V channels. It recomputes the convolution along a piece of a sequence, keeps the last inputs
// and the last gradients before SiLU in registers, and sums the gradients of taps and bias over all pieces of
// its block. Which pieces those are is fixed, so results repeat bit by bit.
#include "nn/cuda/device.cuh"

namespace bsm::kernels {

namespace {

constexpr int kTaps = kMaxConvWidth;
constexpr int kPiece = 64;
constexpr int kThreads = 128;
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
__global__ void __launch_bounds__(kThreads) conv_backward_kernel(ConvBackwardArguments<T> a, int pieces) {
  const int channel = (static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x)) * V;
  if (channel >= a.channels) return;
  const int length = a.rows.length;
  float taps[kTaps][V], bias[V], d_taps[kTaps][V], d_bias[V];
#pragma unroll
  for (int i = 0; i < V; ++i) {
    bias[i] = a.bias[channel + i];
    d_bias[i] = 0;
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      const int from = k - (kTaps - a.width);
      taps[k][i] = from >= 0 ? a.weight[(channel + i) * a.width + from] : 0.0f;
      d_taps[k][i] = 0;
    }
  }

  for (int64_t item = blockIdx.x; item < a.items; item += gridDim.x) {
    const int64_t sequence = item / pieces;
    const int begin = static_cast<int>(item % pieces) * kPiece, end = min(begin + kPiece, length);
    const T* in = a.in + a.rows.sequence(sequence) + channel;
    const T* d_xbc = a.d_xbc + sequence * length * a.channels + channel;
    T* d_in = a.d_in + a.d_rows.sequence(sequence) + channel;
    float past[kTaps][V], slope[kTaps][V];  // inputs and gradients before SiLU of elements l - 3 ... l
#pragma unroll
    for (int k = 0; k < kTaps; ++k)
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const int l = begin - kTaps + k;  // the loop moves it one down first
        past[k][i] = k > 0 && l >= 0 ? to_float(in[a.rows.element(l) + i]) : 0.0f;
        slope[k][i] = 0;
      }
    // The gradient of element l - 3 needs those before SiLU up to l.
    const int last = end + kTaps - 1;
    for (int l = begin; l < last; ++l) {
      Pack<T, V> loaded, d_loaded;
      const bool inside = l < length;
      if (inside) {
        loaded = load_pack<V>(in + a.rows.element(l));
        d_loaded = load_pack<V>(d_xbc + static_cast<int64_t>(l) * a.channels);
      }
      float out[V];
#pragma unroll
      for (int i = 0; i < V; ++i) {
#pragma unroll
        for (int k = 0; k + 1 < kTaps; ++k) {
          past[k][i] = past[k + 1][i];
          slope[k][i] = slope[k + 1][i];
        }
        past[kTaps - 1][i] = inside ? to_float(loaded.v[i]) : 0.0f;
        float before = bias[i];
#pragma unroll
        for (int k = 0; k < kTaps; ++k) before += taps[k][i] * past[k][i];
        slope[kTaps - 1][i] = inside ? to_float(d_loaded.v[i]) * silu_slope(before) : 0.0f;
        if (l < end) {
          d_bias[i] += slope[kTaps - 1][i];
#pragma unroll
          for (int k = 0; k < kTaps; ++k) d_taps[k][i] += slope[kTaps - 1][i] * past[k][i];
        }
        out[i] = 0;
#pragma unroll
        for (int k = 0; k < kTaps; ++k) out[i] += taps[k][i] * slope[kTaps - 1 - k][i];
      }
      if (l - (kTaps - 1) >= begin) store_pack<V>(d_in + a.d_rows.element(l - (kTaps - 1)), out);
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
    const int per_block = kThreads * (packs ? V : 1);
    const dim3 grid(static_cast<unsigned>(conv_backward_blocks(shape)),
                    static_cast<unsigned>((shape.conv_channels() + per_block - 1) / per_block));
    return launch(packs ? conv_backward_kernel<T, V> : conv_backward_kernel<T, 1>, grid, kThreads, 0, stream,
                  arguments, static_cast<int>(pieces_of(shape)));
  });
}

}  // namespace bsm::kernels
