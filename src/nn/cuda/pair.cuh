// What the kernels of a pair of scans share: addresses of tokens, the convolution of a tile in shared memory,
// and one head of one chunk of the state space dual form (Dao & Gu 2024, section 6) in the registers of four
// warps. These kernels are bound by the number of their instructions, so what can be done two at a time is.
#pragma once

#include "nn/cuda/pair_kernels.h"
#include "nn/cuda/scan.cuh"

namespace bsm::kernels {

constexpr int kPairChunk = 64;               ///< elements taken at once
constexpr int kPairWarps = kPairChunk / 16;  ///< each owns 16 elements
constexpr int kPairThreads = kPairWarps * kWarp;
constexpr int kHalo = kMaxConvWidth - 1;  ///< inputs that the convolution sees before a chunk
/// Rows in front of a tile: the halo, rounded so that the tile itself stays aligned.
constexpr int kHaloRows = 4;

/// A block has one or more groups of kPairWarps warps, each of which works on one head.
__device__ inline int pair_thread() { return static_cast<int>(threadIdx.x) % kPairThreads; }
/// Number of the warp in its block, which the compiler then knows to be the same for all lanes: what follows
/// from it needs no registers of each thread, of which these kernels have none to spare.
__device__ inline int uniform_warp() {
  return __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / kWarp, 0);
}

/// One sequence in one direction: where its elements' rows are, in scan order.
struct PairSequence {
  int64_t first;  ///< token of the first element scanned
  int step;       ///< tokens from one element to the next

  __device__ PairSequence(const PairShape& shape, int64_t sequence, int direction)
      : first(sequence / shape.inner * shape.length * shape.inner + sequence % shape.inner),
        step(static_cast<int>(shape.inner)) {
    if (direction == 1) {
      first += static_cast<int64_t>(shape.length - 1) * step;
      step = -step;
    }
  }
};

/// How a sequence is cut. Where a state is taken, there is a seam.
struct PairChunks {
  int length, taken_at;  // 0: nowhere

  __host__ __device__ int before() const { return (taken_at + kPairChunk - 1) / kPairChunk; }
  __host__ __device__ int count() const {
    return before() + (length - taken_at + kPairChunk - 1) / kPairChunk;
  }
  __host__ __device__ int begin(int chunk) const {
    return chunk < before() ? chunk * kPairChunk : taken_at + (chunk - before()) * kPairChunk;
  }
  __host__ __device__ int end(int chunk) const {
    const int end = begin(chunk) + kPairChunk, limit = chunk < before() ? taken_at : length;
    return end < limit ? end : limit;
  }
};

/// C B^T of a chunk, 16 x 16 blocks on and below the diagonal, each in the order of an A fragment over lanes.
constexpr int kScoreBlock = 16 * 16;
constexpr int kScoreBlocks = kPairWarps * (kPairWarps + 1) / 2;
/// Where the block of elements 16 warp ... and, as sources, 16 j ... starts.
__device__ inline int score_block(int warp, int j) { return (warp * (warp + 1) / 2 + j) * kScoreBlock; }

/// One head of one chunk. With E_t = log2 of the decay from the chunk's start up to and with element t,
/// source s adds to element t what it is times exp2(E_t - from_s), from_s = E_s - log2 dt_s. Elements that
/// are not there have dt = 0: they add nothing.
template <typename T>
struct ChunkDecays {
  float log_decay[kPairChunk];  ///< E_t
  float from[kPairChunk];
  T to_end[kPairChunk];    ///< exp2(E - from_s), E at the chunk's last element
  T to_block[kPairChunk];  ///< the same up to the last element of the source's block of 16
};

/// How a tile lies in shared memory: rows padded (see Padded). The other way: TileLayout in wgmma.cuh.
template <typename T, int Columns>
struct PaddedLayout {
  static constexpr int kStride = Padded<T, Columns>::kStride;
  static __device__ int at(int row, int column) { return row * kStride + column; }
  /// at() some rows after that of `place`, which is of a row that is a multiple of 16.
  static __device__ int later(int place, int rows) { return place + rows * kStride; }
  template <bool ByRows>
  static __device__ FragmentA<T> load_a(const T* tile, int row, int column, unsigned /*lane*/) {
    return kernels::load_a<ByRows>(tile + at(row, column), kStride);
  }
  static __device__ void store_a(T* tile, int row, int column, const FragmentA<T>& a, unsigned /*lane*/) {
    kernels::store_a(tile + at(row, column), kStride, a);
  }
};

template <typename T>
struct PairScanArguments {
  PairShape shape;
  const T* projected;
  ScanWeights weights;
  int most_chunks;
  const T* bc;
  const T* scores;
  const ChunkDecays<T>* decays;
  CarriedState state;
  T* u;
  float* squares;

  PairScanArguments(const PairShape& shape, const void* projected, const ScanWeights& weights,
                    const ChunkBuffers& chunks, const CarriedState& state, void* u, float* squares)
      : shape(shape),
        projected(static_cast<const T*>(projected)),
        weights(weights),
        most_chunks(static_cast<int>(pair_most_chunks(shape))),
        bc(static_cast<const T*>(chunks.bc)),
        scores(static_cast<const T*>(chunks.scores)),
        decays(static_cast<const ChunkDecays<T>*>(chunks.decays)),
        state(state),
        u(static_cast<T*>(u)),
        squares(squares) {}
};

/// SiLU(2 h) in two instructions.
__device__ inline float silu_of_half(float h) { return h + h * tanh_approximate(h); }

/// Starts copying Rows rows of Columns elements, `stride` apart in global memory, by Threads threads. Row 0
/// is element `begin` of a sequence; rows outside of [0, end) become zero.
template <int Rows, int Columns, int Threads, typename T>
__device__ inline void load_rows(T* to, const T* from, int stride, int thread, int begin, int end) {
  constexpr int kPer = 16 / static_cast<int>(sizeof(T)), kPacks = Columns / kPer, kPass = Threads / kPacks;
  static_assert(Threads % kPacks == 0);
  const int row = thread / kPacks, within = thread % kPacks * kPer;
  from += static_cast<int64_t>(row) * stride + within;
  to += row * Padded<T, Columns>::kStride + within;
  const int64_t pass = static_cast<int64_t>(kPass) * stride;
#pragma unroll
  for (int first = 0; first < Rows; first += kPass, from += pass) {
    const int element = begin + first + row;
    if (first + kPass <= Rows || first + row < Rows)
      copy_async_16(to + first * Padded<T, Columns>::kStride, from, element >= 0 && element < end);
  }
}

/// Starts copying what is in one piece; both ends 16-byte aligned.
template <int Bytes, int Threads>
__device__ inline void load_piece(void* to, const void* from, int thread) {
  static_assert(Bytes % 16 == 0);
#pragma unroll
  for (int at = 0; at < Bytes; at += 16 * Threads)
    if (at + 16 * Threads <= Bytes || at + 16 * thread < Bytes)
      copy_async_16(static_cast<unsigned char*>(to) + at + 16 * thread,
                    static_cast<const unsigned char*>(from) + at + 16 * thread, true);
}

/// A thread's share of the convolution of a tile: two channels, 1 / kGroups of the elements.
template <int Channels>
struct TileTaps {
  static constexpr int kPairs = Channels / 2, kGroups = kPairs < kPairThreads ? kPairThreads / kPairs : 1;
  static constexpr int kRows = kPairChunk / kGroups;
  static_assert(kPairs <= kPairThreads && kPairChunk % kGroups == 0 && kRows >= kHalo);
  float2 weight[kMaxConvWidth], offset;

  unsigned row, channel;  // its first

  /// @param taps, bias  of the tile's first channel; taps of one delay are `tap_stride` apart
  __device__ TileTaps(const float* taps, int tap_stride, const float* bias, unsigned thread = pair_thread())
      : row(thread / kPairs * kRows), channel(thread % kPairs * 2) {
#pragma unroll
    for (int k = 0; k < kMaxConvWidth; ++k)
      weight[k] = *reinterpret_cast<const float2*>(taps + k * tap_stride + channel);
    offset = *reinterpret_cast<const float2*>(bias + channel);
  }
};

/// Causal convolution and SiLU of a tile [kPairChunk, Channels] in place; its halo stands in the rows before
/// it. All of its threads call it; before and after, they must be synchronised.
/// @param barrier  synchronises them
template <int Channels, typename Layout, typename T, typename Barrier>
__device__ inline void convolve_tile(T* tile, const TileTaps<Channels>& taps, Barrier barrier) {
  using Taps = TileTaps<Channels>;
  const auto start = Layout::at(taps.row, taps.channel);
  float2 past[kHalo];
#pragma unroll
  for (int k = 0; k < kHalo; ++k) past[k] = unpack_pair<T>(load_word(tile + Layout::later(start, k - kHalo)));
  barrier();  // other threads' rows: read before they are overwritten
#pragma unroll
  for (int row = 0; row < Taps::kRows; ++row) {
    T* at = tile + Layout::later(start, row);
    const float2 now = unpack_pair<T>(load_word(at));
    const float h0 = taps.offset.x + taps.weight[0].x * past[0].x + taps.weight[1].x * past[1].x +
                     taps.weight[2].x * past[2].x + taps.weight[3].x * now.x;
    const float h1 = taps.offset.y + taps.weight[0].y * past[0].y + taps.weight[1].y * past[1].y +
                     taps.weight[2].y * past[2].y + taps.weight[3].y * now.y;
    *reinterpret_cast<uint32_t*>(at) = pack_pair<T>(silu_of_half(h0), silu_of_half(h1));
    past[0] = past[1];
    past[1] = past[2];
    past[2] = now;
  }
}
template <int Channels, typename T>
__device__ inline void convolve_tile(T* tile, const TileTaps<Channels>& taps) {
  convolve_tile<Channels, PaddedLayout<T, Channels>>(tile, taps, [] { __syncthreads(); });
}

/// Rows before the first element of a stream: what its convolution saw before.
/// @param stored [conv_width - 1, channels] of the sequence, from the tile's first channel on
template <int Channels, typename Layout, typename T>
__device__ inline void restore_halo(T* tile, const float* stored, int count, int channels, int begin,
                                    int thread, int threads) {
  for (int i = thread; i < kHalo * Channels; i += threads) {
    const int row = i / Channels - kHalo, element = begin + row;
    if (element < 0 && element + count >= 0)
      tile[Layout::at(row, i % Channels)] =
          from_float<T>(stored[(element + count) * channels + i % Channels]);
  }
}

/// One warp: the decays of one head of a chunk.
/// @param dt    of a lane's elements, which are kWarp apart
/// @param rate  of decay, see decay_rate()
template <typename T>
__device__ inline void store_decays(const float (&dt)[2], float rate, ChunkDecays<T>& decays) {
  static_assert(kPairChunk == 2 * kWarp);
  float log_decay[2], carry = 0;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float sum = dt[i] * rate;
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const float before = __shfl_up_sync(0xffffffffu, sum, distance);
      if (lane_id() >= distance) sum += before;
    }
    log_decay[i] = sum + carry;
    carry = __shfl_sync(0xffffffffu, log_decay[i], kWarp - 1);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int element = lane_id() + kWarp * i;
    const float from = log_decay[i] - log2f(dt[i]);
    const float block_end = __shfl_sync(0xffffffffu, log_decay[i], lane_id() | 15);
    decays.log_decay[element] = log_decay[i];
    decays.from[element] = from;
    decays.to_end[element] = from_float<T>(exp2_approximate(carry - from));
    decays.to_block[element] = from_float<T>(exp2_approximate(block_end - from));
  }
}

/// A block of threads: the decays of all heads of a chunk of `rows` elements.
/// @param raw  dt before softplus of the first head and the chunk's first element; elements are `stride`
/// apart
template <typename T>
__device__ inline void store_all_decays(const T* raw, int stride, int rows, const ScanWeights& weights,
                                        int direction, int heads, int warp, ChunkDecays<T>* decays) {
  constexpr int kAtOnce = 4;  // heads of a warp whose loads are on their way together
  for (int first = warp; first < heads; first += kAtOnce * kPairWarps) {
    float dt[kAtOnce][2], bias[kAtOnce], rate[kAtOnce];
#pragma unroll
    for (int h = 0; h < kAtOnce; ++h) {
      const int head = min(first + h * kPairWarps, heads - 1);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = lane_id() + kWarp * i;
        dt[h][i] = row < rows ? to_float(raw[static_cast<int64_t>(row) * stride + head]) : -INFINITY;
      }
      bias[h] = weights.dt_bias[direction * heads + head];
      rate[h] = decay_rate(weights.A_log[direction * heads + head]);
    }
#pragma unroll
    for (int h = 0; h < kAtOnce; ++h) {
      const int head = first + h * kPairWarps;
      if (head >= heads) break;
      const float steps[2] = {softplus(dt[h][0] + bias[h]), softplus(dt[h][1] + bias[h])};
      store_decays(steps, rate[h], decays[head]);
    }
  }
}

/// C_t . B_s for the 16 elements t of a warp and the 16 elements s of block j.
template <int N, typename T>
__device__ inline FragmentA<T> block_scores(const T* C, const T* B, int warp, int j) {
  constexpr int kStride = Padded<T, N>::kStride;
  Tile scores[2];
#pragma unroll
  for (int k = 0; k < N; k += 16) {
    const FragmentA<T> c = load_a<true>(C + 16 * warp * kStride + k, kStride);
    FragmentB<T> b[2];
    load_b_pair<true>(b, B + 16 * j * kStride + k, kStride);
    multiply_add(scores[0], c, b[0]);
    multiply_add(scores[1], c, b[1]);
  }
  FragmentA<T> a;
#pragma unroll
  for (int i = 0; i < 4; ++i)
    a.r[i] = pack_pair<T>(scores[i / 2].r[2 * (i % 2)], scores[i / 2].r[2 * (i % 2) + 1]);
  return a;
}

/// Weights of the sources s of this warp's own block: exp(E_t - E_s) scores[t, s] dt_s for s < t, and skip
/// more on the diagonal, where y has D x.
template <typename T>
__device__ inline FragmentA<T> weights_of_own_block(FragmentA<T> scores, const ChunkDecays<T>& decays,
                                                    float skip, int warp, unsigned lane = lane_id()) {
  const int first = 16 * warp, row = static_cast<int>(lane / 4), column = static_cast<int>(2 * (lane % 4));
  const float log_t[2] = {decays.log_decay[first + row], decays.log_decay[first + row + 8]};
#pragma unroll
  for (int i = 0; i < 4; ++i) {  // quarters of 8 x 8
    if (i == 2) {                // sources after their elements
      scores.r[i] = 0;
      continue;
    }
    const float2 from = *reinterpret_cast<const float2*>(decays.from + first + column + 8 * (i / 2));
    float2 value = unpack_pair<T>(scores.r[i]);
    value.x *= exp2_approximate(log_t[i & 1] - from.x);
    value.y *= exp2_approximate(log_t[i & 1] - from.y);
    if (i != 1) {  // on the diagonal
      value.x = column < row ? value.x : column == row ? value.x + skip : 0.0f;
      value.y = column + 1 < row ? value.y : column + 1 == row ? value.y + skip : 0.0f;
    }
    scores.r[i] = pack_pair<T>(value.x, value.y);
  }
  return scores;
}

/// exp(E_t - E_s) scores[t, s] dt_s for the s of an earlier block j. The decay has two factors: up to the end
/// of that block, and from there on.
template <typename T>
__device__ inline FragmentA<T> weights_of_earlier_block(FragmentA<T> scores, const ChunkDecays<T>& decays,
                                                        int warp, int j, unsigned lane = lane_id()) {
  const unsigned t = 16 * warp + lane / 4;
  const float end = decays.log_decay[16 * j + 15];
  uint32_t onwards[2], to_block[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float decay = exp2_approximate(decays.log_decay[t + 8 * i] - end);
    onwards[i] = pack_pair<T>(decay, decay);
    to_block[i] = load_word(decays.to_block + 16 * j + 2 * (lane % 4) + 8 * i);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    scores.r[i] = multiply_pair<T>(multiply_pair<T>(scores.r[i], to_block[i / 2]), onwards[i & 1]);
  return scores;
}

/// y[t] += sum over the s of block j of weights[t, s] x_s.
template <int P, typename T>
__device__ inline void add_block(Tile (&y)[P / 8], const FragmentA<T>& weights, const T* x, int j) {
  multiply_add_row<false>(y, weights, x + 16 * j * Padded<T, P>::kStride, Padded<T, P>::kStride);
}

/// u = y SiLU(z) for this warp's 16 elements: z's tile, which holds z / 2, becomes u, which is then copied
/// out, and the sums of u^2 with it. Elements from `rows` on are left out.
/// @param u, squares  of the tile's first element; `step` is a token from one element to the next
template <int P, typename Layout, typename T>
__device__ inline void gate_and_store(const Tile (&y)[P / 8], T* z, int warp, int rows, int step, T* u,
                                      int u_width, float* squares, int squares_width,
                                      unsigned lane = lane_id()) {
  constexpr int kPer = 16 / static_cast<int>(sizeof(T)), kPacks = P / kPer;
  const int t0 = 16 * warp;
  float sums[2] = {0, 0};
#pragma unroll
  for (int p = 0; p < P; p += 16) {
    FragmentA<T> gate = Layout::template load_a<true>(z, t0, p, lane);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 half = unpack_pair<T>(gate.r[i]);
      const Tile& tile = y[p / 8 + i / 2];
      const float u0 = tile.r[2 * (i & 1)] * silu_of_half(half.x),
                  u1 = tile.r[2 * (i & 1) + 1] * silu_of_half(half.y);
      sums[i & 1] = u0 * u0 + (u1 * u1 + sums[i & 1]);
      gate.r[i] = pack_pair<T>(u0, u1);
    }
    Layout::store_a(z, t0, p, gate, lane);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float sum = lane_sum<3>(sums[half]);
    const int t = t0 + static_cast<int>(lane / 4) + 8 * half;
    if (lane % 4 == 0 && t < rows) squares[static_cast<int64_t>(t) * step * squares_width] = sum;
  }
  __syncwarp();
  const int first = t0 + static_cast<int>(lane / kPacks), pack = static_cast<int>(lane % kPacks) * kPer;
  u += static_cast<int64_t>(first) * step * u_width + pack;
  const int64_t pass = static_cast<int64_t>(kWarp / kPacks) * step * u_width;
#pragma unroll
  for (int row = 0; row < 16; row += kWarp / kPacks, u += pass)
    if (first + row < rows)
      *reinterpret_cast<uint4*>(u) = *reinterpret_cast<const uint4*>(z + Layout::at(first + row, pack));
}

/// Calls body with T, N and P of a shape as constants.
template <typename Body>
cudaError_t with_pair_types(const PairShape& shape, Body body) {
  const auto with_scalar_of = [&](auto scalar) {
    using T = decltype(scalar);
    return with_sizes(shape.state, shape.head_dim, [&](auto n, auto p) {
      if constexpr (decltype(n)::value >= 32) return body(T{}, n, p);
      return cudaErrorInvalidValue;
    });
  };
  if (shape.scalar == Scalar::kBfloat16) return with_scalar_of(Bfloat16{});
  if (shape.scalar == Scalar::kFloat16) return with_scalar_of(Float16{});
  return cudaErrorInvalidValue;
}

}  // namespace bsm::kernels
