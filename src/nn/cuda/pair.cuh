// What the kernels of a pair of scans share: addresses of tokens, the convolution of a tile in shared memory,
// and one head of one chunk of the state space dual form (Dao & Gu 2024, section 6) in the registers of four
// warps.
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
__device__ inline int pair_group() { return static_cast<int>(threadIdx.x) / kPairThreads; }
__device__ inline int pair_thread() { return static_cast<int>(threadIdx.x) % kPairThreads; }
__device__ inline int pair_warp() { return pair_thread() / kWarp; }

/// One sequence in one direction: where its elements' rows are, in scan order.
struct PairSequence {
  int64_t first;  ///< token of element 0 in input order
  int64_t step;   ///< tokens from one element to the next
  int length;
  bool reversed;

  __device__ PairSequence(const PairShape& shape, int64_t sequence, int direction)
      : first(sequence / shape.inner * shape.length * shape.inner + sequence % shape.inner),
        step(shape.inner),
        length(shape.length),
        reversed(direction == 1) {}

  __device__ int64_t token(int scanned) const {
    return first + (reversed ? length - 1 - scanned : scanned) * step;
  }
};

/// SiLU in five instructions, to a few units in the last place of float32.
__device__ inline float silu_fast(float x) {
  return x * reciprocal_approximate(1.0f + exp2_approximate(-kLog2e * x));
}

/// Starts copying rows `begin` ... `begin + Rows - 1` (scan order) of Columns elements of `projected` from
/// `column` on; rows outside of [0, end) become zero.
template <int Rows, int Columns, typename T>
__device__ inline void load_rows(T* to, const T* projected, int64_t width, int column, const PairSequence& at,
                                 int begin, int end) {
  constexpr int kPer = 16 / static_cast<int>(sizeof(T)), kPacks = Columns / kPer;
  static_assert(kPairThreads % kPacks == 0);
  const int first = pair_thread() / kPacks, within = pair_thread() % kPacks * kPer;
  const T* from = projected + at.token(0) * width + column + within;
  const int64_t stride = (at.reversed ? -at.step : at.step) * width;
#pragma unroll
  for (int row = first; row < Rows; row += kPairThreads / kPacks) {
    const int element = begin + row;
    const bool valid = element >= 0 && element < end;
    copy_async_16(to + row * Padded<T, Columns>::kStride + within, from + (valid ? element * stride : 0),
                  valid);
  }
}

/// Causal convolution and SiLU of a tile [kPairChunk, Channels] in place; its halo stands in the rows before
/// it. All threads of the block call it; before and after, they must be synchronised.
/// @param taps, bias  of the tile's first channel; taps of one delay are `tap_stride` apart
template <int Channels, typename T>
__device__ inline void convolve_tile(T* tile, const float* taps, int tap_stride, const float* bias) {
  constexpr int kPairs = Channels / 2, kGroups = kPairs < kPairThreads ? kPairThreads / kPairs : 1;
  constexpr int kRows = kPairChunk / kGroups, kStride = Padded<T, Channels>::kStride;
  static_assert(kPairs <= kPairThreads && kPairChunk % kGroups == 0);
  const int thread = pair_thread(), channel = thread % kPairs * 2, first = thread / kPairs * kRows;
  T* column = tile + first * kStride + channel;
  float2 weight[kMaxConvWidth];
#pragma unroll
  for (int k = 0; k < kMaxConvWidth; ++k)
    weight[k] = *reinterpret_cast<const float2*>(taps + k * tap_stride + channel);
  const float2 offset = *reinterpret_cast<const float2*>(bias + channel);
  uint32_t in[kHalo + kRows];  // pairs of neighbouring channels
#pragma unroll
  for (int k = 0; k < kHalo + kRows; ++k)
    in[k] = *reinterpret_cast<const uint32_t*>(column + (k - kHalo) * kStride);
  __syncthreads();  // everything has been read before anything is overwritten
  float2 past[kHalo];
#pragma unroll
  for (int k = 0; k < kHalo; ++k) past[k] = unpack_pair<T>(in[k]);
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    const float2 now = unpack_pair<T>(in[kHalo + row]);
    const float y0 = offset.x + weight[0].x * past[0].x + weight[1].x * past[1].x + weight[2].x * past[2].x +
                     weight[3].x * now.x;
    const float y1 = offset.y + weight[0].y * past[0].y + weight[1].y * past[1].y + weight[2].y * past[2].y +
                     weight[3].y * now.y;
    *reinterpret_cast<uint32_t*>(column + row * kStride) = pack_pair<T>(silu_fast(y0), silu_fast(y1));
    past[0] = past[1];
    past[1] = past[2];
    past[2] = now;
  }
}

/// One warp: from dt [kPairChunk] in shared memory, E_t = log2 of the decay from the chunk's start up to and
/// with element t, and from_s = E_s - log2 dt_s: exp2(E_t - from_s) is what element s adds to element t.
/// Elements with dt = 0 add nothing.
__device__ inline void chunk_exponents(const float* dt, float rate, float* log_decay, float* from) {
  float carry = 0;
#pragma unroll
  for (int begin = 0; begin < kPairChunk; begin += kWarp) {
    const int i = begin + lane_id();
    const float step = dt[i];
    float sum = step * rate;
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const float before = __shfl_up_sync(0xffffffffu, sum, distance);
      if (lane_id() >= distance) sum += before;
    }
    sum += carry;
    carry = __shfl_sync(0xffffffffu, sum, kWarp - 1);
    log_decay[i] = sum;
    from[i] = sum - log2f(step);
  }
}

/// scores[t, s] = C_t . B_s for the 16 elements t of this warp and 16 elements s from 16 * j on.
template <int N, typename T>
__device__ inline void block_scores(Tile (&scores)[2], const T* C, const T* B, int j) {
  constexpr int kStride = Padded<T, N>::kStride;
  const int warp = pair_warp();
#pragma unroll
  for (int k = 0; k < N; k += 16) {
    const FragmentA<T> c = load_a<true>(C + 16 * warp * kStride + k, kStride);
    FragmentB<T> b[2];
    load_b_pair<true>(b, B + 16 * j * kStride + k, kStride);
    multiply_add(scores[0], c, b[0]);
    multiply_add(scores[1], c, b[1]);
  }
}

/// y[t] += sum over s <= t of exp(E_t - E_s) scores[t, s] dt_s x_s, for the s of block j.
/// @param log_decay, from  of chunk_exponents()
template <int P, typename T>
__device__ inline void add_block(Tile (&y)[P / 8], const Tile (&scores)[2], const T* x,
                                 const float* log_decay, const float* from, int j) {
  const int warp = pair_warp(), row = tile_row();
  const float log_t[2] = {log_decay[16 * warp + row], log_decay[16 * warp + row + 8]};
  float masked[8];
#pragma unroll
  for (int e = 0; e < 8; ++e) {
    const int half = (e >> 1) & 1, column = tile_column() + (e & 1) + (e & 4 ? 8 : 0);
    const float value = scores[e >> 2].r[e & 3] * exp2_approximate(log_t[half] - from[16 * j + column]);
    masked[e] = j < warp || column <= row + 8 * half ? value : 0.0f;
  }
  multiply_add_row<false>(y, make_a<T>(masked), x + 16 * j * Padded<T, P>::kStride, Padded<T, P>::kStride);
}

/// u = (y + skip x) SiLU(z) for this warp's 16 elements: z's tile becomes u, which is then copied out, and
/// the sums of u^2 with it. Elements from `rows` on are left out.
template <int P, typename T>
__device__ inline void gate_and_store(Tile (&y)[P / 8], const T* x, T* z, float skip, int rows,
                                      const PairSequence& at, int begin, T* u, int64_t u_width,
                                      float* squares, int64_t squares_width) {
  constexpr int kStride = Padded<T, P>::kStride, kPer = 16 / static_cast<int>(sizeof(T)), kPacks = P / kPer;
  const int t0 = 16 * pair_warp();
  float sums[2] = {0, 0};
  for_each_pair(y, [&](int half, int p, float& v0, float& v1) {
    const int t = t0 + tile_row() + 8 * half;
    const float2 own = load_pair(x + t * kStride + p), gate = load_pair(z + t * kStride + p);
    const float u0 = (v0 + skip * own.x) * silu_fast(gate.x), u1 = (v1 + skip * own.y) * silu_fast(gate.y);
    sums[half] += u0 * u0 + u1 * u1;
    store_pair(z + t * kStride + p, u0, u1);
  });
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float sum = lane_sum<3>(sums[half]);
    const int t = t0 + tile_row() + 8 * half;
    if (lane_id() % 4 == 0 && t < rows) squares[at.token(begin + t) * squares_width] = sum;
  }
  __syncwarp();
  for (int i = lane_id(); i < 16 * kPacks; i += kWarp) {
    const int t = t0 + i / kPacks, p = i % kPacks * kPer;
    if (t < rows)
      *reinterpret_cast<uint4*>(u + at.token(begin + t) * u_width + p) =
          *reinterpret_cast<const uint4*>(z + t * kStride + p);
  }
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
