// Long sequences and streams: a block of threads owns one or two heads of one sequence in one direction and
// walks through its chunks. Its state P x N stays in the float32 accumulators of the warps; a 16-bit copy in
// shared memory is what the next chunk multiplies with. Nothing but the inputs is read and nothing but u is
// written.
#include "nn/cuda/pair.cuh"

namespace bsm::kernels {

namespace {

template <typename T>
struct ScanArguments {
  PairShape shape;
  const T* projected;
  ScanWeights weights;
  const T* bc;
  const float* dt;
  CarriedState state;
  T* u;
  float* squares;
};

/// What the heads of a block share, and what each has for itself.
template <typename T, int N, int P, int Heads>
struct PairScanShared {
  static constexpr int kTileN = kPairChunk * Padded<T, N>::kStride;
  static constexpr int kTileP = kPairChunk * Padded<T, P>::kStride;
  struct Head {
    T h[P * Padded<T, N>::kStride];
    T x[kHaloRows * Padded<T, P>::kStride + kTileP];
    T z[kTileP];
    float log_decay[kPairChunk], from[kPairChunk], weight[kPairChunk];
  };
  T B[kTileN], C[kTileN];
  Head heads[Heads];
};

/// How the warps share a state P x N: each owns 16 rows and N / kAcross columns.
template <int N, int P>
struct StateTiles {
  static constexpr int kDown = P / 16, kAcross = kPairWarps / kDown, kColumns = N / kAcross,
                       kTiles = kColumns / 8;
  static_assert(kDown * kAcross == kPairWarps && kTiles % 2 == 0);
  static __device__ int row() { return pair_warp() % kDown * 16; }
  static __device__ int column() { return pair_warp() / kDown * kColumns; }
};

template <typename T, int N, int P, int Heads>
__global__ void __launch_bounds__(kPairThreads* Heads, Heads == 1 ? 3 : 2)
    pair_scan_kernel(ScanArguments<T> a) {
  using Shared = PairScanShared<T, N, P, Heads>;
  using State = StateTiles<N, P>;
  constexpr int kNS = Padded<T, N>::kStride, kPS = Padded<T, P>::kStride;
  auto& common = *reinterpret_cast<Shared*>(dynamic_shared());
  auto& shared = common.heads[pair_group()];
  const PairShape& s = a.shape;
  const int direction = static_cast<int>(blockIdx.y), heads = s.heads(), channels = s.channels();
  const int blocks = heads / Heads;
  const int64_t sequence = blockIdx.x / blocks;
  const int head = static_cast<int>(blockIdx.x % blocks) * Heads + pair_group(), warp = pair_warp();
  const PairSequence at(s, sequence, direction);
  const int width = s.projected_width(), slab = direction * s.slab(), stored = s.conv_width - 1;
  const int64_t scanned = direction * s.sequences() + sequence;
  const T* bc = a.bc + scanned * s.length * 2 * N;
  const float* dt = a.dt + (scanned * heads + head) * s.length;
  const float* taps = a.weights.taps + direction * kMaxConvWidth * channels + head * P;
  const float* bias = a.weights.conv_bias + direction * channels + head * P;
  const float rate = decay_rate(a.weights.A_log[direction * heads + head]);
  const float skip = a.weights.D[direction * heads + head];
  // Only direction 0 carries a state. A chunk ends where it is to be taken.
  const bool carries = direction == 0;
  const int taken_at = carries && a.state.ssm_out != nullptr ? a.state.state_at : 0;
  const int64_t state_of_head = (sequence * heads + head) * P * N;
  T* x = shared.x + kHaloRows * kPS;

  const auto chunk_end = [&](int begin) {
    const int end = min(begin + kPairChunk, s.length);
    return begin < taken_at ? min(end, taken_at) : end;
  };
  const auto stage = [&](int begin, int end) {
    load_rows<kHalo + kPairChunk, P>(x - kHalo * kPS, a.projected, width, slab + s.d_inner + head * P, at,
                                     begin - kHalo, end);
    load_rows<kPairChunk, P>(shared.z, a.projected, width, slab + head * P, at, begin, end);
    load_tile<kPairChunk, N>(common.B, bc + static_cast<int64_t>(begin) * 2 * N, 2 * N, end - begin);
    load_tile<kPairChunk, N>(common.C, bc + static_cast<int64_t>(begin) * 2 * N + N, 2 * N, end - begin);
    if (warp == 0) {
      for (int i = lane_id(); i < kPairChunk; i += kWarp)
        shared.from[i] = i < end - begin ? dt[begin + i] : 0.0f;
      chunk_exponents(shared.from, rate, shared.log_decay, shared.from);
      __syncwarp();
      const float total = shared.log_decay[kPairChunk - 1];
      for (int i = lane_id(); i < kPairChunk; i += kWarp)
        shared.weight[i] = exp2_approximate(total - shared.from[i]);
    }
  };

  Tile h[State::kTiles];
  const auto in_state = [&](int half, int n) {
    return (State::row() + tile_row() + 8 * half) * N + State::column() + n;
  };
  const auto share_state = [&] {
    for_each_pair(h, [&](int half, int n, float& v0, float& v1) {
      store_pair(shared.h + (State::row() + tile_row() + 8 * half) * kNS + State::column() + n, v0, v1);
    });
  };
  bool has_state = carries && a.state.ssm_in != nullptr;
  if (has_state) {
    for_each_pair(h, [&](int half, int n, float& v0, float& v1) {
      const float2 pair = load_pair(a.state.ssm_in + state_of_head + in_state(half, n));
      v0 = pair.x;
      v1 = pair.y;
    });
    share_state();
  }

  for (int begin = 0; begin < s.length;) {
    const int end = chunk_end(begin), rows = end - begin;
    stage(begin, end);
    copy_async_wait();
    __syncthreads();
    if (begin < kHalo && carries &&
        a.state.conv_in != nullptr) {  // rows before the first are what was seen before
      for (int i = pair_thread(); i < kHalo * P; i += kPairThreads) {
        const int row = begin - kHalo + i / P;
        if (row < 0 && row + stored >= 0)
          x[(i / P - kHalo) * kPS + i % P] = from_float<T>(
              a.state.conv_in[(sequence * stored + row + stored) * channels + head * P + i % P]);
      }
      __syncthreads();
    }
    convolve_tile<P>(x, taps, channels, bias);
    __syncthreads();

    if (16 * warp < rows) {
      Tile y[P / 8];
      if (has_state) {  // exp(E_t) h C_t
#pragma unroll
        for (int k = 0; k < N; k += 16) {
          const FragmentA<T> c = load_a<true>(common.C + 16 * warp * kNS + k, kNS);
          multiply_add_row<true>(y, c, shared.h + k, kNS);
        }
        const int t0 = 16 * warp + tile_row();
        const float decay[2] = {exp2_approximate(shared.log_decay[t0]),
                                exp2_approximate(shared.log_decay[t0 + 8])};
        for_each_pair(y, [&](int half, int, float& v0, float& v1) {
          v0 *= decay[half];
          v1 *= decay[half];
        });
      }
      for (int j = 0; j <= warp; ++j) {
        Tile scores[2];
        block_scores<N>(scores, common.C, common.B, j);
        add_block<P>(y, scores, x, shared.log_decay, shared.from, j);
      }
      gate_and_store<P>(y, x, shared.z, skip, rows, at, begin,
                        a.u + direction * s.tokens() * s.d_inner + head * P, s.d_inner,
                        a.squares + direction * s.tokens() * heads + head, heads);
    }

    const bool taken = taken_at > 0 && end == taken_at;
    if (end < s.length || taken) {  // h <- exp(E) h + sum_s (exp(E - E_s) dt_s x_s) B_s^T
      const float decay = exp2_approximate(shared.log_decay[kPairChunk - 1]);
      for_each_pair(h, [&](int, int, float& v0, float& v1) {
        v0 *= decay;
        v1 *= decay;
      });
      for (int t = 0; t < rows; t += 16) {
        FragmentA<T> v = load_a<false>(x + t * kPS + State::row(), kPS);
        scale_columns(v, shared.weight + t);
        multiply_add_row<false>(h, v, common.B + t * kNS + State::column(), kNS);
      }
    }
    if (taken) {
      for_each_pair(h, [&](int half, int n, float& v0, float& v1) {
        store_pair(a.state.ssm_out + state_of_head + in_state(half, n), v0, v1);
      });
    }
    begin = end;
    if (begin >= s.length) break;
    __syncthreads();  // the tiles and the old state have been read
    share_state();
    has_state = true;
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
                             const void* bc, const float* dt, const CarriedState& state, void* u,
                             float* squares, cudaStream_t stream) {
  return with_pair_types(shape, [&](auto scalar, auto n, auto p) {
    using T = decltype(scalar);
    constexpr int N = decltype(n)::value, P = decltype(p)::value;
    const ScanArguments<T> arguments{shape,
                                     static_cast<const T*>(projected),
                                     weights,
                                     static_cast<const T*>(bc),
                                     dt,
                                     state,
                                     static_cast<T*>(u),
                                     squares};
    const auto launch_with = [&](auto heads) {
      constexpr int kHeads = decltype(heads)::value;
      const dim3 grid(static_cast<unsigned>(shape.sequences() * (shape.heads() / kHeads)),
                      static_cast<unsigned>(shape.directions));
      return launch(pair_scan_kernel<T, N, P, kHeads>, grid, kPairThreads * kHeads,
                    sizeof(PairScanShared<T, N, P, kHeads>), stream, arguments);
    };
    // Two heads share the copies of B and C, where two such blocks fit on a multiprocessor.
    size_t available = 0;
    if (const cudaError_t error = shared_bytes_available(available); error != cudaSuccess) return error;
    return shape.heads() % 2 == 0 && 2 * sizeof(PairScanShared<T, N, P, 2>) <= available
               ? launch_with(std::integral_constant<int, 2>{})
               : launch_with(std::integral_constant<int, 1>{});
  });
}

bool pair_supports(const PairShape& shape) {
  return shape.dim % 8 == 0 && shape.d_inner % 8 == 0 && shape.conv_width >= 2 &&
         shape.conv_width <= kMaxConvWidth &&
         with_pair_types(shape, [](auto, auto, auto) { return cudaSuccess; }) == cudaSuccess;
}

size_t pair_shared_bytes(const PairShape& shape) {
  const size_t scan = pair_scan_bytes(shape), all_heads = pair_scan_short_bytes(shape);
  return scan > all_heads ? scan : all_heads;
}

}  // namespace bsm::kernels
