// What all heads of a chunk of a long sequence share, once: B and C after convolution and SiLU, and C B^T;
// and the decays of each head. (x, which each head has for itself, is convolved where it is scanned.)
#include "nn/cuda/pair.cuh"
#include "nn/cuda/tiles.cuh"

namespace bsm::kernels {

namespace {

template <typename T>
struct ChunkArguments {
  PairShape shape;
  const T* projected;
  ScanWeights weights;
  const float* conv_state;
  int taken_at;
  int most_chunks;
  bool tiles;
  T* bc;
  T* scores;
  ChunkDecays<T>* decays;
};

template <typename T, int N>
struct ChunkShared {
  static constexpr int kTile = (kHaloRows + kPairChunk) * Padded<T, N>::kStride;
  T B[kTile], C[kTile];
};

/// A block of threads owns one chunk of a sequence in one direction.
template <typename T, int N>
__global__ void __launch_bounds__(kPairThreads) pair_chunks_kernel(ChunkArguments<T> a) {
  constexpr int kStride = Padded<T, N>::kStride, kPer = 16 / static_cast<int>(sizeof(T)), kPacks = N / kPer;
  auto& shared = *reinterpret_cast<ChunkShared<T, N>*>(dynamic_shared());
  const PairShape& s = a.shape;
  const int direction = static_cast<int>(blockIdx.y), heads = s.heads(), channels = s.channels(),
            thread = pair_thread(), warp = uniform_warp();
  const int64_t sequence = blockIdx.x / a.most_chunks;
  const int chunk = static_cast<int>(blockIdx.x % a.most_chunks);
  const PairChunks chunks{s.length, direction == 0 ? a.taken_at : 0};
  if (chunk >= chunks.count()) return;
  const int begin = chunks.begin(chunk), end = chunks.end(chunk);
  const PairSequence at(s, sequence, direction);
  const int stride = at.step * s.projected_width();
  const T* first = a.projected + at.first * s.projected_width() + direction * s.slab() +
                   static_cast<int64_t>(begin) * stride;
  const int64_t scanned = direction * s.sequences() + sequence;
  const int64_t numbered = scanned * a.most_chunks + chunk;

  T* B = shared.B + kHaloRows * kStride;
  T* C = shared.C + kHaloRows * kStride;
  const T* b = first + 2 * s.d_inner - static_cast<int64_t>(kHalo) * stride;
  load_rows<kHalo + kPairChunk, N, kPairThreads>(B - kHalo * kStride, b, stride, thread, begin - kHalo, end);
  load_rows<kHalo + kPairChunk, N, kPairThreads>(C - kHalo * kStride, b + N, stride, thread, begin - kHalo,
                                                 end);
  copy_async_commit();

  store_all_decays(first + s.d_inner + channels, stride, end - begin, a.weights, direction, heads, warp,
                   a.decays + numbered * heads);

  const float* taps = a.weights.taps + direction * kMaxConvWidth * channels + s.d_inner;
  const float* bias = a.weights.conv_bias + direction * channels + s.d_inner;
  copy_async_wait();
  __syncthreads();
  if (begin < kHalo && direction == 0 && a.conv_state != nullptr) {
    const int count = s.conv_width - 1;
    const float* stored = a.conv_state + sequence * count * channels + s.d_inner;
    restore_halo<N, PaddedLayout<T, N>>(B, stored, count, channels, begin, thread, kPairThreads);
    restore_halo<N, PaddedLayout<T, N>>(C, stored + N, count, channels, begin, thread, kPairThreads);
    __syncthreads();
  }
  convolve_tile<N>(B, TileTaps<N>(taps, channels, bias));
  convolve_tile<N>(C, TileTaps<N>(taps + N, channels, bias + N));
  __syncthreads();

  T* scores = a.scores + numbered * kScoreBlocks * kScoreBlock + lane_id() * 8;
  for (int j = 0; j <= warp; ++j) {
    const FragmentA<T> block = block_scores<N>(C, B, warp, j);
    *reinterpret_cast<uint4*>(scores + score_block(warp, j)) =
        make_uint4(block.r[0], block.r[1], block.r[2], block.r[3]);
  }
  // Rows after the end are those of inputs of zero: finite, and nothing comes of them.
  T* bc = a.bc + numbered * kPairChunk * 2 * N;
  for (int i = thread; i < kPairChunk * 2 * kPacks; i += kPairThreads) {
    const int row = i / (2 * kPacks), pack = i % (2 * kPacks);
    const T* from = (pack < kPacks ? B : C) + row * kStride + pack % kPacks * kPer;
    const int to =
        a.tiles ? pack / 8 * kPairChunk * kTileColumns + tile_at(row, pack % 8) : row * 2 * N + pack * kPer;
    *reinterpret_cast<uint4*>(bc + to) = *reinterpret_cast<const uint4*>(from);
  }
}

}  // namespace

int64_t pair_most_chunks(const PairShape& shape) { return (shape.length + kPairChunk - 1) / kPairChunk + 1; }
int64_t pair_score_elements() { return int64_t{kScoreBlocks} * kScoreBlock; }
int64_t pair_bc_elements(const PairShape& shape) { return int64_t{kPairChunk} * 2 * shape.state; }
int64_t pair_decays_bytes() { return sizeof(ChunkDecays<Bfloat16>); }

size_t pair_chunks_bytes(const PairShape& shape) {
  size_t bytes = 0;
  with_pair_types(shape, [&](auto scalar, auto n, auto) {
    bytes = sizeof(ChunkShared<decltype(scalar), decltype(n)::value>);
    return cudaSuccess;
  });
  return bytes;
}

cudaError_t launch_pair_chunks(const PairShape& shape, const void* projected, const ScanWeights& weights,
                               const CarriedState& state, const ChunkBuffers& chunks, cudaStream_t stream) {
  return with_pair_types(shape, [&](auto scalar, auto n, auto) {
    using T = decltype(scalar);
    constexpr int N = decltype(n)::value;
    const int most = static_cast<int>(pair_most_chunks(shape));
    const ChunkArguments<T> arguments{shape,
                                      static_cast<const T*>(projected),
                                      weights,
                                      state.conv_in,
                                      state.taken_at(),
                                      most,
                                      pair_scans_groups(shape),
                                      static_cast<T*>(chunks.bc),
                                      static_cast<T*>(chunks.scores),
                                      static_cast<ChunkDecays<T>*>(chunks.decays)};
    const dim3 grid(static_cast<unsigned>(shape.sequences() * most), static_cast<unsigned>(shape.directions));
    return launch(pair_chunks_kernel<T, N>, grid, kPairThreads, sizeof(ChunkShared<T, N>), stream, arguments);
  });
}

}  // namespace bsm::kernels
