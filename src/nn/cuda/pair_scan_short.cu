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
/// the decays of each head.
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
__global__ void __launch_bounds__(kPairThreads, 4)
    pair_scan_short_kernel(const __grid_constant__ ShortArguments<T> a) {
  using Shared = ShortShared<T, N, P>;
  constexpr int kNS = Padded<T, N>::kStride, kPS = Padded<T, P>::kStride;
  auto& shared = *reinterpret_cast<Shared*>(dynamic_shared());
  auto* decays = reinterpret_cast<ChunkDecays<T>*>(&shared + 1);
  const PairShape& s = a.shape;
  const int direction = static_cast<int>(blockIdx.y), heads = s.heads(), rows = s.length,
            channels = s.channels(), thread = pair_thread(), warp = uniform_warp();
  const PairSequence at(s, blockIdx.x, direction);
  const int stride = at.step * s.projected_width();
  const T* first = a.projected + at.first * s.projected_width() + direction * s.slab();
  const int64_t halo = static_cast<int64_t>(kHalo) * stride;
  const float* taps = a.weights.taps + direction * kMaxConvWidth * channels;
  const float* bias = a.weights.conv_bias + direction * channels;

  T* B = shared.once.B + kHaloRows * kNS;
  T* C = shared.once.C + kHaloRows * kNS;
  const T* b = first + 2 * s.d_inner - halo;
  load_rows<kHalo + kPairChunk, N, kPairThreads>(B - kHalo * kNS, b, stride, thread, -kHalo, rows);
  load_rows<kHalo + kPairChunk, N, kPairThreads>(C - kHalo * kNS, b + N, stride, thread, -kHalo, rows);
  store_all_decays(first + s.d_inner + channels, stride, rows, a.weights, direction, heads, warp, decays);
  copy_async_wait();
  __syncthreads();
  convolve_tile<N>(B, TileTaps<N>(taps + s.d_inner, channels, bias + s.d_inner));
  convolve_tile<N>(C, TileTaps<N>(taps + s.d_inner + N, channels, bias + s.d_inner + N));
  __syncthreads();
  FragmentA<T> scores[kPairWarps];
#pragma unroll
  for (int j = 0; j < kPairWarps; ++j)
    if (j <= warp) scores[j] = block_scores<N>(C, B, warp, j);
  __syncthreads();

  const auto stage = [&](int head) {
    load_rows<kHalo + kPairChunk, P, kPairThreads>(shared.heads.x[head % 2] + (kHaloRows - kHalo) * kPS,
                                                   first + s.d_inner + head * P - halo, stride, thread,
                                                   -kHalo, rows);
    load_rows<kPairChunk, P, kPairThreads>(shared.heads.z[head % 2], first + head * P, stride, thread, 0,
                                           rows);
  };
  stage(0);
  for (int head = 0; head < heads; ++head) {
    const TileTaps<P> own_taps(taps + head * P, channels, bias + head * P);
    const float skip = a.weights.D[direction * heads + head];
    copy_async_wait();
    __syncthreads();
    if (head + 1 < heads) stage(head + 1);
    T* x = shared.heads.x[head % 2] + kHaloRows * kPS;
    convolve_tile<P>(x, own_taps);
    __syncthreads();
    if (16 * warp >= rows) continue;
    Tile y[P / 8];
#pragma unroll
    for (int j = 0; j < kPairWarps; ++j)
      if (j < warp) add_block<P>(y, weights_of_earlier_block(scores[j], decays[head], warp, j), x, j);
#pragma unroll
    for (int j = 0; j < kPairWarps; ++j)  // indexed by constants, so that the scores stay in registers
      if (j == warp) add_block<P>(y, weights_of_own_block(scores[j], decays[head], skip, warp), x, j);
    gate_and_store<P, PaddedLayout<T, P>>(
        y, shared.heads.z[head % 2], warp, rows, at.step,
        a.u + (direction * s.tokens() + at.first) * s.d_inner + head * P, s.d_inner,
        a.squares + (direction * s.tokens() + at.first) * heads + head, heads);
  }
}

template <typename T, int N, int P>
size_t short_bytes(const PairShape& shape) {
  return sizeof(ShortShared<T, N, P>) + sizeof(ChunkDecays<T>) * static_cast<size_t>(shape.heads());
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
