// The end of a block in one kernel: all products with the output projections and the residual matrix, the row
// factors of the norms, the update of the residual stream and the next block's norm. Compute capability 9.0.
//
// A block of threads owns 192 tokens and all columns of the stream, so that a row's sum of squares never
// leaves it; three warpgroups share the tokens, whose sums fill the registers: the more tokens, the fewer
// times the weights are read, which is what bounds the kernel. The products run over slices of 64 of [xn | u
// of each direction], which all have a factor of their own for each row: between two of them, the sums are
// multiplied by the ratio.
#include "nn/cuda/pair_norm.cuh"
#include "nn/cuda/wgmma.cuh"

namespace bsm::kernels {

namespace {

constexpr int kGroups = 3;
constexpr int kTokens = 64 * kGroups;  ///< of a block of threads
constexpr int kColumns = 256;
constexpr int kThreads = kGroups * kWarpgroup;
constexpr int kStages = 4;  ///< slices in shared memory; two are on their way while two are multiplied

template <typename T>
struct MergeArguments {
  PairShape shape;
  MergeInputs in;
  StreamView x, y;
  NormedRows normed;
};

template <typename T>
struct MergeShared {
  struct Stage {
    T a[kTokens * kTileColumns];
    T b[kColumns * kTileColumns];
  };
  union {
    Stage stages[kStages];
    float sums[kTokens * kColumns];  ///< when the products are made
  };
  float factors[3][kTokens];  ///< of each row, for the residual's product and that of each direction
  __device__ MergeShared() {}
};

/// Where four neighbours of a row of MergeShared::sums start; rows are permuted to lie in different banks.
__device__ inline unsigned sums_at(unsigned row, unsigned column) {
  return row * kColumns + (column ^ (row % 8) * 8);
}

template <typename T>
__global__ void __launch_bounds__(kThreads, 1)
    merge_products_kernel(const __grid_constant__ MergeArguments<T> a) {
  auto& shared = *reinterpret_cast<MergeShared<T>*>(dynamic_shared());
  const PairShape& s = a.shape;
  const int64_t first = int64_t{blockIdx.x} * kTokens;
  const int rows = static_cast<int>(min(s.tokens() - first, int64_t{kTokens})),
            thread = static_cast<int>(threadIdx.x);
  const int warp = uniform_warp(), group = warp / 4;
  const int of_residual = s.dim / kTileColumns, of_direction = s.d_inner / kTileColumns;
  const int slices = of_residual + s.directions * of_direction;

  // Slices are copied one after the other: each thread a piece of four rows and its share of the weights.
  // Rows after the last are copies of it.
  constexpr int kPass = kThreads / 8;
  const T* from = static_cast<const T*>(a.in.xn) + first * s.dim + thread % 8 * 8;
  const T* weights = static_cast<const T*>(a.in.weights);
  int width = s.dim, next = 0, next_part = of_residual;
  const auto load = [&] {
    if (next < slices) {
      auto& stage = shared.stages[next % kStages];
      if (next == next_part) {  // the first of a direction
        const int direction = (next - of_residual) / of_direction;
        from = static_cast<const T*>(a.in.u) + (direction * s.tokens() + first) * s.d_inner + thread % 8 * 8;
        width = s.d_inner;
        next_part += of_direction;
      }
#pragma unroll
      for (int pass = 0; pass < kTokens; pass += kPass) {
        const int row = pass + thread / 8;
        copy_async_16(stage.a + tile_at(row, thread % 8), from + min(row, rows - 1) * width, true);
      }
      load_piece<sizeof(stage.b), kThreads>(stage.b, weights, thread);
      from += kTileColumns;
      weights += kColumns * kTileColumns;
    }
    ++next;
    copy_async_commit();
  };
  load();
  load();
  if (thread < rows) {
    prefetch(a.x.data + stream_offset(a.x, first + thread, s), kColumns * static_cast<int>(sizeof(float)));
    shared.factors[0][thread] = a.in.rms[first + thread];
  }
  for (int i = thread; i < s.directions * kTokens; i += kThreads)
    if (i % kTokens < rows)
      shared.factors[1 + i / kTokens][i % kTokens] =
          norm_factor<1>(a.in.squares, s, i / kTokens, first + i % kTokens);

  Tile sums[kColumns / 8];
  const auto add_slices = [&](int begin, int end) {
    for (int slice = begin; slice < end; ++slice) {
      copy_async_wait_but<1>();  // all but the next slice
      fence_for_products();
      __syncthreads();  // and everybody's products with the slice before the last are done
      const auto& stage = shared.stages[slice % kStages];
      const GroupOperand<T> tokens(stage.a + 64 * group * kTileColumns), columns(stage.b);
      products_begin();
#pragma unroll
      for (int k = 0; k < kTileColumns; k += 16) multiply_group(sums, tokens + k, columns + k);
      products_commit();
      load();
      products_wait<1>(sums);
    }
    products_wait<0>(sums);
  };
  /// This thread's two rows, of 16 of its warp, times their factors for part `before` over those for `after`.
  const auto rescale = [&](int before, int after) {
    float by[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = 16 * warp + tile_row() + 8 * half;
      by[half] = shared.factors[before][row];
      if (after < 3) by[half] /= shared.factors[after][row];
    }
    for_each_pair(sums, [&](int half, int, float& v0, float& v1) {
      v0 *= by[half];
      v1 *= by[half];
    });
  };
  add_slices(0, of_residual);
  for (int direction = 0; direction < s.directions; ++direction) {
    rescale(direction, direction + 1);
    add_slices(of_residual + direction * of_direction, of_residual + (direction + 1) * of_direction);
  }
  rescale(s.directions, 3);

  // From here on each warp has its 16 rows, and a lane eight columns of each.
  __syncthreads();  // no slice is read any more
  for_each_pair(sums, [&](int half, int column, float& v0, float& v1) {
    store_pair(shared.sums + sums_at(16 * warp + tile_row() + 8 * half, column), v0, v1);
  });
  __syncwarp();
  const int lane = lane_id(), own = min(16 * warp + lane % 16, rows - 1);
  const int64_t x_of_own = stream_offset(a.x, first + own, s), y_of_own = stream_offset(a.y, first + own, s);
  Pack<float, 4> bias[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) bias[i] = load_pack<4>(a.in.bias + 4 * lane + 128 * i);
  constexpr int kAtOnce = 8;  // rows whose loads are on their way together
#pragma unroll
  for (int begin = 0; begin < 16; begin += kAtOnce) {
    Pack<float, 4> old[kAtOnce][2];
#pragma unroll
    for (int r = 0; r < kAtOnce; ++r) {
      const float* x = a.x.data + __shfl_sync(0xffffffffu, x_of_own, begin + r) + 4 * lane;
#pragma unroll
      for (int i = 0; i < 2; ++i) old[r][i] = load_pack<4>(x + 128 * i);
    }
#pragma unroll
    for (int r = 0; r < kAtOnce; ++r) {
      const int row = 16 * warp + begin + r;
      float* y = a.y.data + __shfl_sync(0xffffffffu, y_of_own, begin + r) + 4 * lane;
      Pack<float, 4> sum[2];
      float squares = 0;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        sum[i] = load_pack<4>(shared.sums + sums_at(row, 4 * lane + 128 * i));
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          sum[i].v[k] += old[r][i].v[k] + bias[i].v[k];
          squares += sum[i].v[k] * sum[i].v[k];
        }
        if (row < rows) *reinterpret_cast<Pack<float, 4>*>(y + 128 * i) = sum[i];
      }
      if (a.normed.xn == nullptr) continue;
      const float mean = lane_sum(squares) / kColumns + kPairNormEps, scale = rsqrtf(mean);
      if (row >= rows) continue;
      if (lane == 0) a.normed.rms[first + row] = mean * scale;
      T* xn = static_cast<T*>(a.normed.xn) + (first + row) * kColumns + 4 * lane;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float values[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) values[k] = sum[i].v[k] * scale;
        store_pack<4>(xn + 128 * i, values);
      }
    }
  }
}

}  // namespace

bool gpu_has_group_products() {
  return runs_here(reinterpret_cast<const void*>(merge_products_kernel<Bfloat16>));
}

bool pair_has_own_products(const PairShape& shape) {
  return shape.group_products && shape.dim == kColumns && shape.d_inner % kTileColumns == 0;
}

cudaError_t launch_pair_merge_products(const PairShape& shape, const MergeInputs& in, const StreamView& x,
                                       const StreamView& y, const NormedRows& normed, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((shape.tokens() + kTokens - 1) / kTokens));
  const auto with = [&](auto scalar) {
    using T = decltype(scalar);
    return launch(merge_products_kernel<T>, grid, kThreads, sizeof(MergeShared<T>), stream,
                  MergeArguments<T>{shape, in, x, y, normed});
  };
  return shape.scalar == Scalar::kFloat16 ? with(Float16{}) : with(Bfloat16{});
}

}  // namespace bsm::kernels
