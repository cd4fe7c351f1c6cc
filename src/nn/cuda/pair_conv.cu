// B, C and the step sizes of long sequences, once for all heads of a sequence (x, which each head has for
// itself, is convolved where it is scanned).
#include "nn/cuda/pair.cuh"

namespace bsm::kernels {

namespace {

constexpr int kV = 8;
constexpr int kThreads = 128;

template <typename T>
struct ConvArguments {
  PairShape shape;
  const T* projected;
  ScanWeights weights;
  const float* conv_state;
  T* bc;
  float* dt;
};

/// A thread owns kV channels and 16 elements.
template <typename T>
__device__ void convolve_bc(const ConvArguments<T>& a, const PairSequence& at, int64_t sequence,
                            int direction, int begin, int end) {
  constexpr int kRows = 16;
  const PairShape& s = a.shape;
  const int packs = 2 * s.state / kV, channels = s.channels(), stored = s.conv_width - 1;
  const int column = direction * s.slab() + 2 * s.d_inner;
  for (int item = static_cast<int>(threadIdx.x); item < packs * (kPairChunk / kRows); item += kThreads) {
    const int within = item % packs * kV, channel = s.d_inner + within, first = begin + item / packs * kRows;
    if (first >= end) continue;
    const float* taps = a.weights.taps + direction * kMaxConvWidth * channels + channel;
    const auto offset = load_pack<kV>(a.weights.conv_bias + direction * channels + channel);
    Pack<float, kV> weight[kMaxConvWidth];
#pragma unroll
    for (int k = 0; k < kMaxConvWidth; ++k) weight[k] = load_pack<kV>(taps + k * channels);
    float past[kHalo][kV] = {};
#pragma unroll
    for (int k = 0; k < kHalo; ++k) {
      const int l = first - kHalo + k, row = l + stored;
      if (l >= 0) {
        const auto pack = load_pack<kV>(a.projected + at.token(l) * s.projected_width() + column + within);
#pragma unroll
        for (int i = 0; i < kV; ++i) past[k][i] = to_float(pack.v[i]);
      } else if (a.conv_state != nullptr && direction == 0 && row >= 0) {
        const auto pack = load_pack<kV>(a.conv_state + (sequence * stored + row) * channels + channel);
#pragma unroll
        for (int i = 0; i < kV; ++i) past[k][i] = pack.v[i];
      }
    }
    T* out = a.bc + ((direction * s.sequences() + sequence) * s.length + first) * 2 * s.state + within;
    const int count = min(kRows, end - first);
#pragma unroll 4
    for (int r = 0; r < count; ++r) {
      const auto pack =
          load_pack<kV>(a.projected + at.token(first + r) * s.projected_width() + column + within);
      float y[kV];
#pragma unroll
      for (int i = 0; i < kV; ++i) {
        const float now = to_float(pack.v[i]);
        y[i] = silu_fast(offset.v[i] + weight[0].v[i] * past[0][i] + weight[1].v[i] * past[1][i] +
                         weight[2].v[i] * past[2][i] + weight[3].v[i] * now);
        past[0][i] = past[1][i];
        past[1][i] = past[2][i];
        past[2][i] = now;
      }
      store_pack<kV>(out + static_cast<int64_t>(r) * 2 * s.state, y);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) pair_conv_kernel(ConvArguments<T> a, int pieces) {
  const PairShape& s = a.shape;
  const int direction = static_cast<int>(blockIdx.y), heads = s.heads();
  const int64_t sequence = blockIdx.x / pieces;
  const int begin = static_cast<int>(blockIdx.x % pieces) * kPairChunk,
            end = min(begin + kPairChunk, s.length);
  const PairSequence at(s, sequence, direction);
  convolve_bc(a, at, sequence, direction, begin, end);

  const int column = direction * s.slab() + s.d_inner + s.channels();
  float* dt = a.dt + (direction * s.sequences() + sequence) * heads * s.length;
  for (int i = static_cast<int>(threadIdx.x); i < heads * (end - begin); i += kThreads) {
    const int head = i % heads, l = begin + i / heads;
    const float raw = to_float(a.projected[at.token(l) * s.projected_width() + column + head]);
    dt[head * s.length + l] = softplus(raw + a.weights.dt_bias[direction * heads + head]);
  }
}

}  // namespace

cudaError_t launch_pair_conv(const PairShape& shape, const void* projected, const ScanWeights& weights,
                             const float* conv_state, void* bc, float* dt, cudaStream_t stream) {
  return with_pair_types(shape, [&](auto scalar, auto, auto) {
    using T = decltype(scalar);
    const int pieces = (shape.length + kPairChunk - 1) / kPairChunk;
    const ConvArguments<T> arguments{
        shape, static_cast<const T*>(projected), weights, conv_state, static_cast<T*>(bc), dt};
    const dim3 grid(static_cast<unsigned>(shape.sequences() * pieces),
                    static_cast<unsigned>(shape.directions));
    return launch(pair_conv_kernel<T>, grid, kThreads, 0, stream, arguments, pieces);
  });
}

}  // namespace bsm::kernels
