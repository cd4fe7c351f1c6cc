// What the scan kernels share: sizes of the tiles of a chunk in shared memory, loading them, decays within a
// chunk.
#pragma once

#include "nn/cuda/mma.cuh"

namespace bsm::kernels {

/// A tile of Columns elements a row; rows are padded by 16 bytes, so that the eight rows that one matrix load
/// touches lie in different banks.
template <typename T, int Columns>
struct Padded {
  static constexpr int kStride = Columns + 16 / static_cast<int>(sizeof(T));
};

template <typename T, int N, int P>
struct ScanTile {
  static constexpr int kChunk = sizeof(T) == 4 ? 32 : 64;  ///< MixerShape::chunk()
  static constexpr int kRowWarps = kChunk / 16;            ///< warps that share the elements of a chunk
  static constexpr int kStrideN = Padded<T, N>::kStride;
  static constexpr int kStrideP = Padded<T, P>::kStride;
  static constexpr int kElementsN = kChunk * kStrideN;  ///< B or C of a chunk
  static constexpr int kElementsP = kChunk * kStrideP;  ///< x or d_y of a chunk and head
  static constexpr int kElementsH = P * kStrideN;       ///< a state
};

/// Starts copying `rows` rows (of at most Rows) of Columns elements; rows up to the next multiple of 16
/// become zero.
template <int Rows, int Columns, typename T>
__device__ inline void load_tile(T* to, const T* from, int64_t from_stride, int rows) {
  constexpr int kPer = 16 / static_cast<int>(sizeof(T)), kPacks = Columns / kPer;
  const int packs = min(Rows, (rows + 15) / 16 * 16) * kPacks;
  for (int i = static_cast<int>(threadIdx.x); i < packs; i += static_cast<int>(blockDim.x)) {
    const int row = i / kPacks, column = i % kPacks * kPer;
    const bool valid = row < rows;
    copy_async_16(to + row * Padded<T, Columns>::kStride + column,
                  from + (valid ? row * from_stride : 0) + column, valid);
  }
}

/// log2 of the decay a step, per unit of dt: A log2(e).
__device__ inline float decay_rate(float A_log) { return -expf(A_log) * kLog2e; }

/// One warp: dt[Chunk] and log2 of the decay from the chunk's start up to and with each element. Elements
/// from `rows` on get dt = 0: they decay nothing and add nothing.
template <int Chunk>
__device__ inline void chunk_decay(const float* dt_global, int rows, float rate, float* dt,
                                   float* log_decay) {
  float carry = 0;
#pragma unroll
  for (int begin = 0; begin < Chunk; begin += kWarp) {
    const int i = begin + lane_id();
    const float step = i < rows ? dt_global[i] : 0.0f;
    float sum = step * rate;
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const float before = __shfl_up_sync(0xffffffffu, sum, distance);
      if (lane_id() >= distance) sum += before;
    }
    sum += carry;
    carry = __shfl_sync(0xffffffffu, sum, kWarp - 1);
    dt[i] = step;
    log_decay[i] = sum;
  }
}

/// Calls body with the sizes as constants; cudaErrorInvalidValue for sizes that there are no kernels for.
template <typename Body>
cudaError_t with_sizes(int state, int head_dim, Body body) {
  const auto with_head = [&](auto n) {
    if (head_dim == 64) return body(n, std::integral_constant<int, 64>{});
    if (head_dim == 32) return body(n, std::integral_constant<int, 32>{});
    return cudaErrorInvalidValue;
  };
  switch (state) {
    case 16:
      return with_head(std::integral_constant<int, 16>{});
    case 32:
      return with_head(std::integral_constant<int, 32>{});
    case 64:
      return with_head(std::integral_constant<int, 64>{});
    case 128:
      return with_head(std::integral_constant<int, 128>{});
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace bsm::kernels
