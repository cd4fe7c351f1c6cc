// The causal depthwise convolution with SiLU, the step sizes, and the convolution's state.
#include "nn/cuda/conv.cuh"

namespace bsm::kernels {

namespace {

template <typename T>
struct ConvArguments {
  const T* in;  // column 0 of zxbcdt
  const float* weight;
  const float* bias;
  const float* dt_bias;
  const float* state;
  T* xbc;
  float* dt;
  Rows rows;
  int d_inner, channels, heads, width;
};

template <typename T, int V>
__global__ void __launch_bounds__(kConvThreads) conv_kernel(ConvArguments<T> a, int pieces) {
  const int groups = a.channels / V, length = a.rows.length;
  const int item = static_cast<int>(blockIdx.y) * kConvThreads + static_cast<int>(threadIdx.x);
  const int64_t sequence = blockIdx.x / pieces;
  const int begin = static_cast<int>(blockIdx.x % pieces) * kPiece, end = min(begin + kPiece, length);
  const T* in = a.in + a.rows.sequence(sequence);
  const int channel = item * V;
  float taps[kTaps][V];
  load_taps<V>(a.weight, channel, a.channels, a.width, taps);
  if (item >= groups) {
    const int head = item - groups;
    if (head >= a.heads) return;
    in += a.d_inner + a.channels + head;
    float* dt = a.dt + (sequence * a.heads + head) * length;
    const float bias = a.dt_bias[head];
#pragma unroll 4
    for (int l = begin; l < end; ++l) dt[l] = softplus(to_float(in[a.rows.element(l)]) + bias);
    return;
  }

  in += a.d_inner + channel;
  float bias[V], past[kTaps - 1][V];
#pragma unroll
  for (int i = 0; i < V; ++i) bias[i] = a.bias[channel + i];
#pragma unroll
  for (int k = 0; k < kTaps - 1; ++k) {
    const int l = begin - (kTaps - 1) + k, row = l + a.width - 1;
#pragma unroll
    for (int i = 0; i < V; ++i) past[k][i] = 0;
    if (l >= 0) {
      load_floats(in + a.rows.element(l), past[k]);
    } else if (a.state != nullptr && row >= 0) {
      load_floats(a.state + (sequence * (a.width - 1) + row) * a.channels + channel, past[k]);
    }
  }
  T* out = a.xbc + sequence * length * a.channels + channel;
  for (int l0 = begin; l0 < end; l0 += kAtOnce) {
    Pack<T, V> loaded[kAtOnce];
#pragma unroll
    for (int r = 0; r < kAtOnce; ++r)
      if (l0 + r < end) loaded[r] = load_pack<V>(in + a.rows.element(l0 + r));
#pragma unroll
    for (int r = 0; r < kAtOnce; ++r) {
      if (l0 + r >= end) break;
      float y[V];
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const float now = to_float(loaded[r].v[i]);
        y[i] = silu(bias[i] + taps[0][i] * past[0][i] + taps[1][i] * past[1][i] + taps[2][i] * past[2][i] +
                    taps[3][i] * now);
        past[0][i] = past[1][i];
        past[1][i] = past[2][i];
        past[2][i] = now;
      }
      store_pack<V>(out + static_cast<int64_t>(l0 + r) * a.channels, y);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kConvThreads)
    conv_state_kernel(const T* in, const float* before, float* after, Rows rows, int at, int channels,
                      int width) {
  const int channel = static_cast<int>(blockIdx.y) * kConvThreads + static_cast<int>(threadIdx.x);
  if (channel >= channels) return;
  const int64_t sequence = blockIdx.x / (width - 1);
  const int row = static_cast<int>(blockIdx.x % (width - 1));
  const int l = at - (width - 1) + row;  // negative: an input of `before`, whose last row is l = -1
  float value = 0;
  if (l >= 0) {
    value = to_float(in[rows.sequence(sequence) + rows.element(l) + channel]);
  } else if (before != nullptr) {
    value = before[(sequence * (width - 1) + l + width - 1) * channels + channel];
  }
  after[(sequence * (width - 1) + row) * channels + channel] = value;
}

}  // namespace

cudaError_t launch_conv_forward(const MixerShape& shape, const Strided& zxbcdt, const float* conv_weight,
                                const float* conv_bias, const float* dt_bias, const float* conv_state,
                                void* xbc, float* dt, cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    constexpr int V = 16 / static_cast<int>(sizeof(T));
    const ConvArguments<T> arguments{static_cast<const T*>(zxbcdt.data),
                                     conv_weight,
                                     conv_bias,
                                     dt_bias,
                                     conv_state,
                                     static_cast<T*>(xbc),
                                     dt,
                                     Rows(shape, zxbcdt),
                                     shape.d_inner,
                                     shape.conv_channels(),
                                     shape.heads(),
                                     shape.conv_width};
    const bool packs = rows_aligned<T, V>(zxbcdt, shape.d_inner);
    const int items = shape.conv_channels() / (packs ? V : 1) + shape.heads();
    const int pieces = (shape.length + kPiece - 1) / kPiece;
    const dim3 grid(static_cast<unsigned>(shape.sequences() * pieces),
                    static_cast<unsigned>((items + kConvThreads - 1) / kConvThreads));
    return launch(packs ? conv_kernel<T, V> : conv_kernel<T, 1>, grid, kConvThreads,
                  taps_shared_bytes(packs ? V : 1), stream, arguments, pieces);
  });
}

cudaError_t launch_conv_state(const MixerShape& shape, const Strided& zxbcdt, const float* before, int at,
                              float* after, cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    const dim3 grid(static_cast<unsigned>(shape.sequences() * (shape.conv_width - 1)),
                    static_cast<unsigned>((shape.conv_channels() + kConvThreads - 1) / kConvThreads));
    return launch(conv_state_kernel<T>, grid, kConvThreads, 0, stream,
                  static_cast<const T*>(zxbcdt.data) + shape.d_inner, before, after, Rows(shape, zxbcdt), at,
                  shape.conv_channels(), shape.conv_width);
  });
}

}  // namespace bsm::kernels
