// The scan of long sequences (pair_scan.cu) for compute capability 9.0: a warpgroup to a head, whose products
// read B, C, x and the state from shared memory by themselves, while its warps convolve and gate.
#include "nn/cuda/pair.cuh"
#include "nn/cuda/wgmma.cuh"

namespace bsm::kernels {

namespace {

constexpr int P = 64;  ///< the head dimension that a warpgroup's products fit
static_assert(P == kTileColumns && kPairThreads == kWarpgroup);
constexpr int kTile = kPairChunk * kTileColumns;  ///< elements
constexpr int kFrontRows = 8;                     ///< of x, whose last are the halo

/// Tiles first: they are aligned.
template <typename T, int N, int Heads>
struct GroupScanShared {
  T B[N / kTileColumns][kTile], C[N / kTileColumns][kTile];
  T h[Heads][N / kTileColumns][kTile];
  T x[Heads][kFrontRows * kTileColumns + kTile];
  T z[Heads][kTile];
  T scores[kScoreBlocks * kScoreBlock];
  ChunkDecays<T> decays[Heads];
  float taps[Heads][kMaxConvWidth + 1][P];  ///< the last row is the convolution's bias
  ArrivalBarrier arrived;                   ///< of B to decays
};

template <typename T, int N, int Heads>
__global__ void __launch_bounds__(kWarpgroup* Heads, Heads == 1 ? 3 : 2)
    group_scan_kernel(const __grid_constant__ PairScanArguments<T> a) {
  constexpr int kTilesN = N / kTileColumns;
  using Layout = TileLayout<T>;
  auto& shared = *reinterpret_cast<GroupScanShared<T, N, Heads>*>(dynamic_shared());
  const int warp_of_block = uniform_warp(), group = warp_of_block / kPairWarps,
            warp = warp_of_block % kPairWarps;
  const PairShape& s = a.shape;
  const int direction = static_cast<int>(blockIdx.y), heads = s.heads(), channels = s.channels();
  const int blocks = heads / Heads;
  const int64_t sequence = blockIdx.x / blocks;
  const int head = static_cast<int>(blockIdx.x % blocks) * Heads + group;
  const PairSequence at(s, sequence, direction);
  const int stride = at.step * s.projected_width();
  const bool carries = direction == 0;  // only direction 0 has a state
  const PairChunks chunks{s.length, carries ? a.state.taken_at() : 0};
  const int count = chunks.count();
  const int64_t first_chunk = (direction * s.sequences() + sequence) * a.most_chunks;
  const int64_t state_of_head = (sequence * heads + head) * P * N;
  const float skip = a.weights.D[direction * heads + head];
  T* x = shared.x[group] + kFrontRows * kTileColumns;
  T* z = shared.z[group];
  const ChunkDecays<T>& decays = shared.decays[group];

  const T* columns = a.projected + at.first * s.projected_width() + direction * s.slab() + head * P;
  /// One piece of rows `row`, `row + pass`, ... four in all, of a chunk.
  const auto copy_rows = [&](T* to, const T* from, int begin, int end, int row, int piece, int pass) {
    from += static_cast<int64_t>(begin + row) * stride + piece * 8;
#pragma unroll
    for (int i = 0; i < 4; ++i, from += pass * static_cast<int64_t>(stride))
      copy_async_16(to + tile_at(row + i * pass, piece), from, begin + row + i * pass < end);
  };
  const int64_t first_token = direction * s.tokens() + at.first;
  T* u = a.u + first_token * s.d_inner + head * P;
  float* squares = a.squares + first_token * heads + head;
  const auto stage_all_but_z = [&](int chunk) {
    const int begin = chunks.begin(chunk), end = chunks.end(chunk);
    const unsigned thread = fresh(threadIdx.x), thread_of_group = thread % kPairThreads;
    const int halo = begin - kHalo + static_cast<int>(thread_of_group / 8);
    copy_rows(x, columns + s.d_inner, begin, end, static_cast<int>(thread_of_group / 8),
              static_cast<int>(thread_of_group % 8), kPairChunk / 4);
    if (halo < begin)
      copy_async_16(shared.x[group] + tile_at(kFrontRows - kHalo + thread_of_group / 8, thread_of_group % 8),
                    columns + s.d_inner + static_cast<int64_t>(halo) * stride + thread_of_group % 8 * 8,
                    halo >= 0);
    copy_async_commit();
    if (thread == 0) {
      const int64_t numbered = first_chunk + chunk;
      constexpr int kBytesBC = sizeof(shared.B) + sizeof(shared.C), kBytesScores = sizeof(shared.scores),
                    kBytesDecays = sizeof(shared.decays);
      shared.arrived.expect(kBytesBC + kBytesScores + kBytesDecays);
      shared.arrived.copy(shared.B, a.bc + numbered * kPairChunk * 2 * N, kBytesBC);
      shared.arrived.copy(shared.scores, a.scores + numbered * kScoreBlocks * kScoreBlock, kBytesScores);
      shared.arrived.copy(shared.decays, a.decays + numbered * heads + head, kBytesDecays);
    }
  };
  const auto stage_z = [&](int chunk) {  // each warp the rows that it gates
    const unsigned lane = fresh(lane_id());
    copy_rows(z, columns, chunks.begin(chunk), chunks.end(chunk), 16 * warp + static_cast<int>(lane / 8),
              static_cast<int>(lane % 8), kWarp / 8);
    copy_async_commit();
  };

  Tile h[kTilesN][8];  // rows of P, columns of N
  const auto in_state = [&](int tile, int half, int n) {
    return (16 * warp + tile_row() + 8 * half) * N + tile * kTileColumns + n;
  };
  const auto share_state = [&] {
    const unsigned lane = fresh(lane_id());
#pragma unroll
    for (int tile = 0; tile < kTilesN; ++tile) {
#pragma unroll
      for (int j = 0; j < 8; j += 2) {
        FragmentA<T> copy;
#pragma unroll
        for (int i = 0; i < 4; ++i)
          copy.r[i] = pack_pair<T>(h[tile][j + i / 2].r[2 * (i & 1)], h[tile][j + i / 2].r[2 * (i & 1) + 1]);
        Layout::store_a(shared.h[group][tile], 16 * warp, 8 * j, copy, lane);
      }
    }
  };
  if (threadIdx.x == 0) shared.arrived.init();
  const auto taps_of_head = [&](int row) {
    return row < kMaxConvWidth ? a.weights.taps + (direction * kMaxConvWidth + row) * channels + head * P
                               : a.weights.conv_bias + direction * channels + head * P;
  };
  for (int i = pair_thread(); i < (kMaxConvWidth + 1) * P; i += kWarpgroup)
    shared.taps[group][i / P][i % P] = taps_of_head(i / P)[i % P];
  __syncthreads();
  stage_all_but_z(0);
  stage_z(0);
  bool has_state = carries && a.state.ssm_in != nullptr;
  if (has_state) {
#pragma unroll
    for (int tile = 0; tile < kTilesN; ++tile)
      for_each_pair(h[tile], [&](int half, int n, float& v0, float& v1) {
        const float2 pair = load_pair(a.state.ssm_in + state_of_head + in_state(tile, half, n));
        v0 = pair.x;
        v1 = pair.y;
      });
    share_state();
  }

  const GroupOperand<T> B_operand(shared.B[0]), C_operand(shared.C[0]), h_operand(shared.h[group][0]),
      x_operand(x);
  for (int chunk = 0; chunk < count; ++chunk) {
    const int begin = chunks.begin(chunk), rows = chunks.end(chunk) - begin;
    copy_async_wait_but<1>();  // x
    shared.arrived.wait(chunk);
    fence_for_products();
    __syncthreads();
    if (begin < kHalo && carries && a.state.conv_in != nullptr) {
      const int stored = s.conv_width - 1;
      restore_halo<P, Layout>(shared.x[group] + kFrontRows * kTileColumns,
                              a.state.conv_in + sequence * stored * channels + head * P, stored, channels,
                              begin, pair_thread(), kPairThreads);
      group_barrier(group, kWarpgroup);
    }
    const TileTaps<P> taps(shared.taps[group][0], P, shared.taps[group][kMaxConvWidth], fresh(pair_thread()));
    convolve_tile<P, Layout>(x, taps, [&] { group_barrier(group, kWarpgroup); });
    fence_for_products();
    group_barrier(group, kWarpgroup);

    Tile y[8];
    if (has_state) {  // h C_t
      products_begin();
#pragma unroll
      for (int k = 0; k < N; k += 16) {
        const int at = k / kTileColumns * kTile + k % kTileColumns;
        multiply_group(y, C_operand + at, h_operand + at);
      }
      products_commit();
    }
    unsigned lane = fresh(lane_id());
    if (has_state) {  // exp(E_t) h C_t
      products_wait<0>(y);
      const unsigned t = 16 * warp + lane / 4;
      const float decay[2] = {exp2_approximate(decays.log_decay[t]),
                              exp2_approximate(decays.log_decay[t + 8])};
      for_each_pair(y, [&](int half, int, float& v0, float& v1) {
        v0 *= decay[half];
        v1 *= decay[half];
      });
    }
#pragma unroll
    for (int pair = 0; pair < kPairWarps; pair += 2) {  // of blocks: more have no room in registers
      FragmentA<T> weights[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int j = pair + i;
        if (j > warp) {
          weights[i] = {{0, 0, 0, 0}};
          continue;
        }
        const uint4 lanes = *reinterpret_cast<const uint4*>(shared.scores + score_block(warp, j) + lane * 8);
        const FragmentA<T> scores{{lanes.x, lanes.y, lanes.z, lanes.w}};
        weights[i] = j < warp ? weights_of_earlier_block(scores, decays, warp, j, lane)
                              : weights_of_own_block(scores, decays, skip, warp, lane);
      }
      products_begin();
#pragma unroll
      for (int i = 0; i < 2; ++i)
        multiply_group<true>(y, weights[i], x_operand + 16 * (pair + i) * kTileColumns);
      products_commit();
      products_wait<0>(y);
    }

    const bool last = chunk + 1 == count;
    const bool taken = chunks.taken_at > 0 && begin + rows == chunks.taken_at;
    if (!last || taken) {  // h <- exp(E) h + sum_s (exp(E - E_s) dt_s x_s) B_s^T
      const float decay = exp2_approximate(decays.log_decay[kPairChunk - 1]);
#pragma unroll
      for (int tile = 0; tile < kTilesN; ++tile)
        for_each_pair(h[tile], [&](int, int, float& v0, float& v1) {
          v0 *= decay;
          v1 *= decay;
        });
      lane = fresh(lane);
#pragma unroll
      for (int pair = 0; pair < kPairWarps; pair += 2) {
        FragmentA<T> v[2];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          v[i] = Layout::template load_a<false>(x, 16 * (pair + i), 16 * warp, lane);
          scale_columns_packed(v[i], decays.to_end + 16 * (pair + i), lane);
        }
        products_begin();
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
          for (int tile = 0; tile < kTilesN; ++tile)
            multiply_group<true>(h[tile], v[i], B_operand + (tile * kTile + 16 * (pair + i) * kTileColumns));
        products_commit();
#pragma unroll
        for (int tile = 0; tile < kTilesN; ++tile) products_wait<0>(h[tile]);
      }
    }
    if (taken) {
#pragma unroll
      for (int tile = 0; tile < kTilesN; ++tile)
        for_each_pair(h[tile], [&](int half, int n, float& v0, float& v1) {
          store_pair(a.state.ssm_out + state_of_head + in_state(tile, half, n), v0, v1);
        });
    }
    copy_async_wait();  // z
    __syncthreads();    // but for z, nothing is read any more
    if (!last) {
      stage_all_but_z(chunk + 1);
      share_state();
      has_state = true;
    }
    gate_and_store<P, Layout>(y, z, warp, rows, at.step,
                              u + static_cast<int64_t>(begin) * at.step * s.d_inner, s.d_inner,
                              squares + static_cast<int64_t>(begin) * at.step * heads, heads, fresh(lane));
    __syncwarp();
    if (!last) stage_z(chunk + 1);
  }
}

/// Calls body(T{}, N, Heads) with the kernel's parameters as constants.
template <typename Body>
cudaError_t with_group_types(const PairShape& shape, Body body) {
  return with_pair_types(shape, [&](auto scalar, auto n, auto p) {
    if constexpr (decltype(n)::value % kTileColumns == 0 && decltype(p)::value == P) {
      return shape.heads() % 2 == 0 ? body(scalar, n, std::integral_constant<int, 2>{})
                                    : body(scalar, n, std::integral_constant<int, 1>{});
    } else {
      return cudaErrorInvalidValue;
    }
  });
}

}  // namespace

bool pair_scans_groups(const PairShape& shape) {
  return shape.group_products &&
         with_group_types(shape, [](auto, auto, auto) { return cudaSuccess; }) == cudaSuccess;
}

cudaError_t launch_pair_scan_groups(const PairShape& shape, const void* projected, const ScanWeights& weights,
                                    const ChunkBuffers& chunks, const CarriedState& state, void* u,
                                    float* squares, cudaStream_t stream) {
  return with_group_types(shape, [&](auto scalar, auto n, auto heads) {
    using T = decltype(scalar);
    constexpr int N = decltype(n)::value, kHeads = decltype(heads)::value;
    const dim3 grid(static_cast<unsigned>(shape.sequences() * (shape.heads() / kHeads)),
                    static_cast<unsigned>(shape.directions));
    return launch(group_scan_kernel<T, N, kHeads>, grid, kWarpgroup * kHeads,
                  sizeof(GroupScanShared<T, N, kHeads>), stream,
                  PairScanArguments<T>(shape, projected, weights, chunks, state, u, squares));
  });
}

}  // namespace bsm::kernels
