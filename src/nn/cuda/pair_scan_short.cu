// Short sequences, which are one chunk and start from zero: C B^T is a single matrix, common to all heads,
// and no state is needed at all. A block of threads owns a sequence in one direction; the next head is copied
// while one is computed.
#include "nn/cuda/pair.cuh"

namespace bsm::kernels {

namespace {

template <typename T>
struct ShortArguments {
  PairShape shape;
  const T* projected;
  ScanWeights weights;
  T* u;
  float* squares;
};

/// B and C are read only once: the heads' tiles are in their place afterwards. Behind it in shared memory:
/// log_decay and from of chunk_exponents(), [heads, kPairChunk] floats each.
template <typename T, int N, int P>
union ShortShared {
  static constexpr int kTileN = (kHaloRows + kPairChunk) * Padded<T, N>::kStride;
  static constexpr int kTileP = (kHaloRows + kPairChunk) * Padded<T, P>::kStride;
  struct {
    T B[kTileN], C[kTileN];
  } once;
  struct {
    T x[2][kTileP];
    T z[2][kPairChunk * Padded<T, P>::kStride];
  } heads;
  __device__ ShortShared() {}
};

template <typename T, int N, int P>
__global__ void __launch_bounds__(kPairThreads, 4) pair_scan_short_kernel(ShortArguments<T> a) {
  using Shared = ShortShared<T, N, P>;
  constexpr int kNS = Padded<T, N>::kStride, kPS = Padded<T, P>::kStride;
  auto& shared = *reinterpret_cast<Shared*>(dynamic_shared());
  const PairShape& s = a.shape;
  const int direction = static_cast<int>(blockIdx.y), heads = s.heads(), rows = s.length,
            channels = s.channels();
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const PairSequence at(s, blockIdx.x, direction);
  const int width = s.projected_width(), slab = direction * s.slab();
  float* log_decay = reinterpret_cast<float*>(&shared + 1);
  float* from = log_decay + heads * kPairChunk;  // dt at first
  const float* taps = a.weights.taps + direction * kMaxConvWidth * channels;
  const float* bias = a.weights.conv_bias + direction * channels;

  T* B = shared.once.B + kHaloRows * kNS;
  T* C = shared.once.C + kHaloRows * kNS;
  load_rows<kHalo + kPairChunk, N>(B - kHalo * kNS, a.projected, width, slab + 2 * s.d_inner, at, -kHalo,
                                   rows);
  load_rows<kHalo + kPairChunk, N>(C - kHalo * kNS, a.projected, width, slab + 2 * s.d_inner + N, at, -kHalo,
                                   rows);
  for (int i = static_cast<int>(threadIdx.x); i < heads * kPairChunk; i += kPairThreads) {
    const int head = i % heads, row = i / heads;
    float step = 0;
    if (row < rows)
      step = softplus(to_float(a.projected[at.token(row) * width + slab + s.d_inner + channels + head]) +
                      a.weights.dt_bias[direction * heads + head]);
    from[head * kPairChunk + row] = step;
  }
  copy_async_wait();
  __syncthreads();
  for (int head = warp; head < heads; head += kPairWarps) {
    float* own = from + head * kPairChunk;
    chunk_exponents(own, decay_rate(a.weights.A_log[direction * heads + head]), log_decay + head * kPairChunk,
                    own);
  }
  convolve_tile<N>(B, taps + s.d_inner, channels, bias + s.d_inner);
  convolve_tile<N>(C, taps + s.d_inner + N, channels, bias + s.d_inner + N);
  __syncthreads();
  Tile scores[kPairWarps][2];
#pragma unroll
  for (int j = 0; j < kPairWarps; ++j)
    if (j <= warp) block_scores<N>(scores[j], C, B, j);
  __syncthreads();

  const auto stage = [&](int head) {
    load_rows<kHalo + kPairChunk, P>(shared.heads.x[head % 2] + (kHaloRows - kHalo) * kPS, a.projected, width,
                                     slab + s.d_inner + head * P, at, -kHalo, rows);
    load_rows<kPairChunk, P>(shared.heads.z[head % 2], a.projected, width, slab + head * P, at, 0, rows);
  };
  stage(0);
  for (int head = 0; head < heads; ++head) {
    copy_async_wait();
    __syncthreads();
    if (head + 1 < heads) stage(head + 1);
    T* x = shared.heads.x[head % 2] + kHaloRows * kPS;
    convolve_tile<P>(x, taps + head * P, channels, bias + head * P);
    __syncthreads();
    if (16 * warp >= rows) continue;
    Tile y[P / 8];
#pragma unroll
    for (int j = 0; j < kPairWarps; ++j)
      if (j <= warp)
        add_block<P>(y, scores[j], x, log_decay + head * kPairChunk, from + head * kPairChunk, j);
    gate_and_store<P>(y, x, shared.heads.z[head % 2], a.weights.D[direction * heads + head], rows, at, 0,
                      a.u + direction * s.tokens() * s.d_inner + head * P, s.d_inner,
                      a.squares + direction * s.tokens() * heads + head, heads);
  }
}

template <typename T, int N, int P>
size_t short_bytes(const PairShape& shape) {
  return sizeof(ShortShared<T, N, P>) + sizeof(float) * 2 * kPairChunk * static_cast<size_t>(shape.heads());
}

}  // namespace

size_t pair_scan_short_bytes(const PairShape& shape) {
  size_t bytes = 0;
  with_pair_types(shape, [&](auto scalar, auto n, auto p) {
    bytes = short_bytes<decltype(scalar), decltype(n)::value, decltype(p)::value>(shape);
    return cudaSuccess;
  });
  return bytes;
}

cudaError_t launch_pair_scan_short(const PairShape& shape, const void* projected, const ScanWeights& weights,
                                   void* u, float* squares, cudaStream_t stream) {
  if (shape.length > kPairShortLength) return cudaErrorInvalidValue;
  return with_pair_types(shape, [&](auto scalar, auto n, auto p) {
    using T = decltype(scalar);
    constexpr int N = decltype(n)::value, P = decltype(p)::value;
    const ShortArguments<T> arguments{shape, static_cast<const T*>(projected), weights, static_cast<T*>(u),
                                      squares};
    const dim3 grid(static_cast<unsigned>(shape.sequences()), static_cast<unsigned>(shape.directions));
    return launch(pair_scan_short_kernel<T, N, P>, grid, kPairThreads, short_bytes<T, N, P>(shape), stream,
                  arguments);
  });
}

}  // namespace bsm::kernels
