// Long sequences and streams: a block of threads owns one or two heads of one sequence in one direction and
// walks through its chunks. Its state P x N stays in the float32 accumulators of the warps; a 16-bit copy in
// shared memory is what the next chunk multiplies with. Nothing but the inputs is read and nothing but u is
// written. A chunk's copies start as soon as the last chunk's are no longer needed, so that they arrive while
// that one is gated; the other block of the multiprocessor hides the rest.
#include <algorithm>

#include "nn/cuda/pair.cuh"

namespace bsm::kernels {

namespace {

/// What the heads of a block share, and what each has for itself.
template <typename T, int N, int P, int Heads>
struct PairScanShared {
  static constexpr int kTileN = kPairChunk * Padded<T, N>::kStride;
  static constexpr int kTileP = kPairChunk * Padded<T, P>::kStride;
  struct Head {
    T h[P * Padded<T, N>::kStride];
    T x[kHaloRows * Padded<T, P>::kStride + kTileP];
    T z[kTileP];
    ChunkDecays<T> decays;
  };
  T B[kTileN], C[kTileN];
  T scores[kScoreBlocks * kScoreBlock];
  Head heads[Heads];
};

/// How the warps share a state P x N: each owns 16 rows and N / kAcross columns.
template <int N, int P>
struct StateTiles {
  static constexpr int kDown = P / 16, kAcross = kPairWarps / kDown, kColumns = N / kAcross,
                       kTiles = kColumns / 8;
  static_assert(kDown * kAcross == kPairWarps && kTiles % 2 == 0);
  int row, column;
  explicit __device__ StateTiles(int warp) : row(warp % kDown * 16), column(warp / kDown * kColumns) {}
};

template <typename T, int N, int P, int Heads>
__global__ void __launch_bounds__(kPairThreads* Heads, Heads == 1 ? 3 : 2)
    pair_scan_kernel(const __grid_constant__ PairScanArguments<T> a) {
  using Shared = PairScanShared<T, N, P, Heads>;
  using State = StateTiles<N, P>;
  constexpr int kNS = Padded<T, N>::kStride, kPS = Padded<T, P>::kStride;
  auto& common = *reinterpret_cast<Shared*>(dynamic_shared());
  const int warp_of_block = uniform_warp(), group = warp_of_block / kPairWarps,
            warp = warp_of_block % kPairWarps;
  auto& shared = common.heads[group];
  const State own(warp);
  const PairShape& s = a.shape;
  const int direction = static_cast<int>(blockIdx.y), heads = s.heads(), channels = s.channels();
  const int blocks = heads / Heads;
  const int64_t sequence = blockIdx.x / blocks;
  const int head = static_cast<int>(blockIdx.x % blocks) * Heads + group;
  const PairSequence at(s, sequence, direction);
  const int stride = at.step * s.projected_width();
  const int64_t scanned = direction * s.sequences() + sequence;
  // Only direction 0 carries a state.
  const bool carries = direction == 0;
  const PairChunks chunks{s.length, carries ? a.state.taken_at() : 0};
  const int count = chunks.count();
  const int64_t state_of_head = (sequence * heads + head) * P * N;
  const float skip = a.weights.D[direction * heads + head];
  T* x = shared.x + kHaloRows * kPS;

  const T* z_of_head = a.projected + at.first * s.projected_width() + direction * s.slab() + head * P;
  const auto stage_all_but_z = [&](int chunk) {
    const int begin = chunks.begin(chunk), end = chunks.end(chunk), thread = static_cast<int>(threadIdx.x);
    load_rows<kHalo + kPairChunk, P, kPairThreads>(
        x - kHalo * kPS, z_of_head + s.d_inner + static_cast<int64_t>(begin - kHalo) * stride, stride,
        pair_thread(), begin - kHalo, end);
    const int64_t numbered = scanned * a.most_chunks + chunk;
    const T* bc = a.bc + numbered * kPairChunk * 2 * N;
    load_rows<kPairChunk, N, kPairThreads * Heads>(common.B, bc, 2 * N, thread, begin, end);
    load_rows<kPairChunk, N, kPairThreads * Heads>(common.C, bc + N, 2 * N, thread, begin, end);
    load_piece<sizeof(common.scores), kPairThreads * Heads>(
        common.scores, a.scores + numbered * kScoreBlocks * kScoreBlock, thread);
    load_piece<sizeof(ChunkDecays<T>), kPairThreads>(&shared.decays, a.decays + numbered * heads + head,
                                                     pair_thread());
    copy_async_commit();
  };
  const auto stage_z = [&](int chunk) {  // each warp the rows that it gates
    const int first = chunks.begin(chunk) + 16 * warp;
    load_rows<16, P, kWarp>(shared.z + 16 * warp * kPS, z_of_head + static_cast<int64_t>(first) * stride,
                            stride, lane_id(), first, chunks.end(chunk));
    copy_async_commit();
  };

  Tile h[State::kTiles];
  const auto in_state = [&](int half, int n) {
    return (own.row + tile_row() + 8 * half) * N + own.column + n;
  };
  const auto share_state = [&] {
#pragma unroll
    for (int j = 0; j < State::kTiles; j += 2) {
      FragmentA<T> copy;
#pragma unroll
      for (int i = 0; i < 4; ++i)
        copy.r[i] = pack_pair<T>(h[j + i / 2].r[2 * (i & 1)], h[j + i / 2].r[2 * (i & 1) + 1]);
      store_a(shared.h + own.row * kNS + own.column + 8 * j, kNS, copy);
    }
  };
  stage_all_but_z(0);
  stage_z(0);
  bool has_state = carries && a.state.ssm_in != nullptr;
  if (has_state) {
    for_each_pair(h, [&](int half, int n, float& v0, float& v1) {
      const float2 pair = load_pair(a.state.ssm_in + state_of_head + in_state(half, n));
      v0 = pair.x;
      v1 = pair.y;
    });
    share_state();
  }

  for (int chunk = 0; chunk < count; ++chunk) {
    const int begin = chunks.begin(chunk), rows = chunks.end(chunk) - begin;
    const TileTaps<P> taps(a.weights.taps + direction * kMaxConvWidth * channels + head * P, channels,
                           a.weights.conv_bias + direction * channels + head * P);
    copy_async_wait_but<1>();  // all but z
    __syncthreads();
    if (begin < kHalo && carries && a.state.conv_in != nullptr) {
      const int stored = s.conv_width - 1;
      restore_halo<P, PaddedLayout<T, P>>(x, a.state.conv_in + sequence * stored * channels + head * P,
                                          stored, channels, begin, pair_thread(), kPairThreads);
      __syncthreads();
    }
    convolve_tile<P>(x, taps);
    __syncthreads();

    const bool computes = 16 * warp < rows;
    Tile y[P / 8];
    if (computes) {
      if (has_state) {  // exp(E_t) h C_t
#pragma unroll
        for (int k = 0; k < N; k += 16) {
          const FragmentA<T> c = load_a<true>(common.C + 16 * warp * kNS + k, kNS);
          multiply_add_row<true>(y, c, shared.h + k, kNS);
        }
        const int t = 16 * warp + tile_row();
        const float decay[2] = {exp2_approximate(shared.decays.log_decay[t]),
                                exp2_approximate(shared.decays.log_decay[t + 8])};
        for_each_pair(y, [&](int half, int, float& v0, float& v1) {
          v0 *= decay[half];
          v1 *= decay[half];
        });
      }
      const auto scores = [&](int j) {
        const uint4 lanes =
            *reinterpret_cast<const uint4*>(common.scores + score_block(warp, j) + lane_id() * 8);
        return FragmentA<T>{{lanes.x, lanes.y, lanes.z, lanes.w}};
      };
      for (int j = 0; j < warp; ++j)
        add_block<P>(y, weights_of_earlier_block(scores(j), shared.decays, warp, j), x, j);
      add_block<P>(y, weights_of_own_block(scores(warp), shared.decays, skip, warp), x, warp);
    }

    const bool last = chunk + 1 == count;
    const bool taken = chunks.taken_at > 0 && begin + rows == chunks.taken_at;
    if (!last || taken) {  // h <- exp(E) h + sum_s (exp(E - E_s) dt_s x_s) B_s^T
      const float decay = exp2_approximate(shared.decays.log_decay[kPairChunk - 1]);
      for_each_pair(h, [&](int, int, float& v0, float& v1) {
        v0 *= decay;
        v1 *= decay;
      });
#pragma unroll 1
      for (int t = 0; t < rows; t += 16) {
        FragmentA<T> v = load_a<false>(x + t * kPS + own.row, kPS);
        scale_columns_packed(v, shared.decays.to_end + t);
        multiply_add_row<false>(h, v, common.B + t * kNS + own.column, kNS);
      }
    }
    if (taken) {
      for_each_pair(h, [&](int half, int n, float& v0, float& v1) {
        store_pair(a.state.ssm_out + state_of_head + in_state(half, n), v0, v1);
      });
    }
    copy_async_wait();  // z
    __syncthreads();    // but for z, nothing is read any more
    if (!last) {
      stage_all_but_z(chunk + 1);
      share_state();
      has_state = true;
    }
    if (computes) {
      const int64_t first = at.first + static_cast<int64_t>(begin) * at.step;
      gate_and_store<P, PaddedLayout<T, P>>(
          y, shared.z, warp, rows, at.step, a.u + (direction * s.tokens() + first) * s.d_inner + head * P,
          s.d_inner, a.squares + (direction * s.tokens() + first) * heads + head, heads);
    }
    __syncwarp();
    if (!last) stage_z(chunk + 1);
  }
}

}  // namespace

size_t pair_scan_bytes(const PairShape& shape) {
  size_t bytes = 0;
  with_pair_types(shape, [&](auto scalar, auto n, auto p) {
    bytes = sizeof(PairScanShared<decltype(scalar), decltype(n)::value, decltype(p)::value, 1>);
    return cudaSuccess;
  });
  return bytes;
}

cudaError_t launch_pair_scan(const PairShape& shape, const void* projected, const ScanWeights& weights,
                             const ChunkBuffers& chunks, const CarriedState& state, void* u, float* squares,
                             cudaStream_t stream) {
  if (pair_scans_groups(shape))
    return launch_pair_scan_groups(shape, projected, weights, chunks, state, u, squares, stream);
  return with_pair_types(shape, [&](auto scalar, auto n, auto p) {
    using T = decltype(scalar);
    constexpr int N = decltype(n)::value, P = decltype(p)::value;
    const PairScanArguments<T> arguments(shape, projected, weights, chunks, state, u, squares);
    const auto launch_with = [&](auto heads) {
      constexpr int kHeads = decltype(heads)::value;
      const dim3 grid(static_cast<unsigned>(shape.sequences() * (shape.heads() / kHeads)),
                      static_cast<unsigned>(shape.directions));
      return launch(pair_scan_kernel<T, N, P, kHeads>, grid, kPairThreads * kHeads,
                    sizeof(PairScanShared<T, N, P, kHeads>), stream, arguments);
    };
    // Two heads share the copies of B and C, where two such blocks fit on a multiprocessor.
    int available = 0;
    const cudaError_t error = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, available);
    if (error != cudaSuccess) return error;
    return shape.heads() % 2 == 0 && 2 * sizeof(PairScanShared<T, N, P, 2>) <= static_cast<size_t>(available)
               ? launch_with(std::integral_constant<int, 2>{})
               : launch_with(std::integral_constant<int, 1>{});
  });
}

bool pair_supports(const PairShape& shape) {
  return shape.dim % 8 == 0 && shape.dim <= kMaxPairDim && shape.d_inner % 8 == 0 && shape.conv_width >= 2 &&
         shape.conv_width <= kMaxConvWidth &&
         with_pair_types(shape, [](auto, auto, auto) { return cudaSuccess; }) == cudaSuccess;
}

size_t pair_shared_bytes(const PairShape& shape) {
  return std::max({pair_chunks_bytes(shape), pair_scan_bytes(shape), pair_scan_short_bytes(shape)});
}

}  // namespace bsm::kernels
