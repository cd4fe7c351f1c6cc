// The input projection of a block: [tokens, 256] times the weights of both directions. Compute
// capability 9.0.
//
// With 256 numbers to a sum, what comes out is large beside the arithmetic, so a block of threads, one for
// each multiprocessor, stays: it keeps the weights of 256 columns and takes its share of the tokens, 64
// by 64. Two warpgroups take turns at the tensor cores; while one multiplies, the other writes its results to
// where its tokens were, starts their copy to global memory and then that of the tokens three units on.
//
// All columns take the tokens in the same order at the same time, so that these are read from memory once: in
// any other order, what is written drives them from the second-level cache, and the kernel takes 1.25 times
// as long.
#include <algorithm>

#include "nn/cuda/pair.cuh"
#include "nn/cuda/wgmma.cuh"

namespace bsm::kernels {

namespace {

constexpr int kDim = 256;
constexpr int kSlices = kDim / kTileColumns;  ///< tiles beside one another
constexpr int kTokens = 64;                   ///< of a unit of work
constexpr int kColumns = 256;
constexpr int kNarrow = 128;  ///< columns of the last part, unless more are left
constexpr int kStages = 3;
constexpr int kThreads = 2 * kWarpgroup;

struct ProjectArguments {
  TileMap tokens, weights, projected;
  int units;       ///< of tokens
  int wide;        ///< parts of kColumns columns
  int each, last;  ///< blocks of threads that share the units of a wide part, and those of the narrow one
};

template <typename T>
struct ProjectShared {
  T weights[kSlices][kColumns * kTileColumns];
  T tokens[kStages][kSlices][kTokens * kTileColumns];  ///< then results
  ArrivalBarrier weights_arrived, tokens_arrived[kStages], turn[2];
};

/// `count` units of tokens, one after the other, times N columns.
template <int N, typename T>
__device__ inline void project(const ProjectArguments& a, ProjectShared<T>& shared, int first, int count,
                               int column) {
  const int thread = static_cast<int>(threadIdx.x), group = uniform_warp() / 4;
  const auto load_tokens = [&](int i) {
    if (i >= count) return;
    auto& stage = shared.tokens[i % kStages];
    auto& arrived = shared.tokens_arrived[i % kStages];
    arrived.expect(sizeof(stage));
    for (int slice = 0; slice < kSlices; ++slice)
      arrived.copy_tile(stage[slice], a.tokens, (first + i) * kTokens, slice * kTileColumns);
  };
  if (thread == 0)
    for (int i = 0; i < kStages; ++i) load_tokens(i);
  shared.weights_arrived.wait(0);

  for (int i = group; i < count; i += 2) {
    auto& stage = shared.tokens[i % kStages];
    shared.tokens_arrived[i % kStages].wait(i / kStages);
    if (i > 0) shared.turn[group].wait((i - 1) / 2);
    Tile sums[N / 8];
    products_begin();
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
      const GroupOperand<T> tokens(stage[slice]), weights(shared.weights[slice]);
#pragma unroll
      for (int k = 0; k < kTileColumns; k += 16) multiply_group(sums, tokens + k, weights + k);
    }
    products_commit();
    if (thread % kWarpgroup == 0) shared.turn[1 - group].arrive();  // the other's queue up behind them
    products_wait<0>(sums);
    group_barrier(group, kWarpgroup);  // no warp reads the tokens any more
#pragma unroll
    for (int tile = 0; tile < N / 8; tile += 2) {
      float values[8];
#pragma unroll
      for (int v = 0; v < 8; ++v) values[v] = sums[tile + v / 4].r[v % 4];
      const unsigned at = 8 * tile;
      TileLayout<T>::store_a(stage[at / kTileColumns], 16 * (uniform_warp() % 4), at % kTileColumns,
                             make_a<T>(values), lane_id());
    }
    fence_for_products();
    group_barrier(group, kWarpgroup);
    if (thread % kWarpgroup == 0) {
      for (int at = 0; at < N; at += kTileColumns)
        a.projected.store(stage[at / kTileColumns], (first + i) * kTokens, column + at);
      tile_stores_wait();
      load_tokens(i + kStages);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads, 1) project_kernel(const __grid_constant__ ProjectArguments a) {
  static_assert(kDim == kColumns, "results lie where tokens were");
  auto& shared = *reinterpret_cast<ProjectShared<T>*>(dynamic_shared());
  const int block = static_cast<int>(blockIdx.x), in_narrow = block - a.wide * a.each;
  const bool narrow = in_narrow >= 0;
  const int column = (narrow ? a.wide : block / a.each) * kColumns;
  const int64_t share = narrow ? in_narrow : block % a.each, shares = narrow ? a.last : a.each;
  const int first = static_cast<int>(a.units * share / shares),
            count = static_cast<int>(a.units * (share + 1) / shares) - first;
  if (threadIdx.x == 0) {
    shared.weights_arrived.init();
    for (auto& arrived : shared.tokens_arrived) arrived.init();
    for (auto& turn : shared.turn) turn.init();
    shared.weights_arrived.expect(sizeof(shared.weights));
    for (int slice = 0; slice < kSlices; ++slice)
      shared.weights_arrived.copy_tile(shared.weights[slice], a.weights, column, slice * kTileColumns);
  }
  __syncthreads();
  if (narrow) {
    project<kNarrow>(a, shared, first, count, column);
  } else {
    project<kColumns>(a, shared, first, count, column);
  }
}

}  // namespace

cudaError_t launch_pair_project(const PairShape& shape, const void* xn, const void* weights, void* projected,
                                cudaStream_t stream) {
  int processors = 0;
  cudaError_t error = device_attribute(cudaDevAttrMultiProcessorCount, processors);
  const int width = shape.projected_width();
  ProjectArguments a;
  if (error == cudaSuccess) error = a.tokens.init(xn, shape.tokens(), kDim, kTokens);
  if (error == cudaSuccess) error = a.weights.init(weights, width, kDim, kColumns);
  if (error == cudaSuccess) error = a.projected.init(projected, shape.tokens(), width, kTokens);
  if (error != cudaSuccess) return error;
  a.units = static_cast<int>((shape.tokens() + kTokens - 1) / kTokens);
  a.wide = width / kColumns + (width % kColumns > kNarrow ? 1 : 0);
  const bool narrow = width > a.wide * kColumns;  // in about 0.6 of the time of a wide part
  a.each = std::clamp(10 * processors / (10 * a.wide + (narrow ? 6 : 0)), 1, a.units);
  a.last = narrow ? std::clamp(processors - a.wide * a.each, 1, a.units) : 0;
  const dim3 grid(static_cast<unsigned>(a.wide * a.each + a.last));
  const auto with = [&](auto scalar) {
    using T = decltype(scalar);
    return launch(project_kernel<T>, grid, kThreads, sizeof(ProjectShared<T>), stream, a);
  };
  return shape.scalar == Scalar::kFloat16 ? with(Float16{}) : with(Bfloat16{});
}

}  // namespace bsm::kernels
