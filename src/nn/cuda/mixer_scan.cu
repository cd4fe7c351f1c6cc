// Outputs of the scan, all chunks in parallel (state space dual form): within a chunk a masked product, from
// the chunks before it one product with the state at its start.
//
// A block owns one chunk of one sequence. C B^T is common to all heads: it is computed once and stays in the
// accumulators, from where each head's masked copy goes into the second product without touching memory.
#include "nn/cuda/scan.cuh"

namespace bsm::kernels {

namespace {

template <typename T>
struct ScanArguments {
  const T* xbc;
  const float* dt;
  const float* A_log;
  const float* D;
  const T* states;
  T* y;
  int heads, heads_per_block, length, chunks, channels, d_inner, slots, first_state;
};

template <typename T, int N, int P>
struct ScanShared {
  using Sizes = ScanTile<T, N, P>;
  /// The next head is copied while one is computed; float32 tiles are too large for that.
  static constexpr int kStages = sizeof(T) == 4 ? 1 : 2;
  static constexpr int kElementsB =
      Sizes::kElementsN > Sizes::kElementsH ? Sizes::kElementsN : Sizes::kElementsH;
  T C[Sizes::kElementsN];
  T h[Sizes::kElementsH];
  T B[kElementsB];  // B is read once; then, with two stages, the states of odd heads are here
  T x[kStages][Sizes::kElementsP];
  float dt[kStages][Sizes::kChunk];
  float log_decay[kStages][Sizes::kChunk];
};

template <typename T, int N, int P>
__global__ void __launch_bounds__(ScanTile<T, N, P>::kRowWarps* kWarp) scan_kernel(ScanArguments<T> a) {
  using Sizes = ScanTile<T, N, P>;
  using Shared = ScanShared<T, N, P>;
  constexpr int kChunk = Sizes::kChunk, kWarps = Sizes::kRowWarps, kNS = Sizes::kStrideN,
                kPS = Sizes::kStrideP;
  auto& shared = *reinterpret_cast<Shared*>(dynamic_shared());
  const int64_t sequence = blockIdx.x / a.chunks;
  const int chunk = static_cast<int>(blockIdx.x % a.chunks), warp = static_cast<int>(threadIdx.x) / kWarp;
  const int rows = min(kChunk, a.length - chunk * kChunk), t0 = 16 * warp;
  const int64_t token = sequence * a.length + chunk * kChunk;
  const int first_head = static_cast<int>(blockIdx.y) * a.heads_per_block;
  const int heads = min(a.heads_per_block, a.heads - first_head);
  const bool has_state = a.states != nullptr && chunk >= a.first_state;
  const T* xbc = a.xbc + token * a.channels;

  const auto state_tile = [&](int i) { return Shared::kStages == 2 && i % 2 == 1 ? shared.B : shared.h; };
  const auto stage = [&](int i) {
    const int head = first_head + i, buffer = i % Shared::kStages;
    load_tile<kChunk, P>(shared.x[buffer], xbc + head * P, a.channels, rows);
    if (has_state) {
      const int64_t slot = sequence * a.slots + chunk - a.first_state;
      load_tile<P, N>(state_tile(i), a.states + (slot * a.heads + head) * P * N, N, P);
    }
    if (warp == i % kWarps)
      chunk_decay<kChunk>(a.dt + (sequence * a.heads + head) * a.length + chunk * kChunk, rows,
                          decay_rate(a.A_log[head]), shared.dt[buffer], shared.log_decay[buffer]);
  };

  load_tile<kChunk, N>(shared.B, xbc + a.d_inner, a.channels, rows);
  load_tile<kChunk, N>(shared.C, xbc + a.d_inner + N, a.channels, rows);
  stage(0);
  copy_async_wait();
  __syncthreads();

  // scores[t, s] = C_t . B_s for s <= t
  Tile scores[kChunk / 8];
  if (t0 < rows) {
#pragma unroll
    for (int k = 0; k < N; k += 16) {
      const FragmentA<T> c = load_a<true>(shared.C + t0 * kNS + k, kNS);
#pragma unroll
      for (int j = 0; j < kWarps; ++j) {
        if (j > warp) continue;
        FragmentB<T> b[2];
        load_b_pair<true>(b, shared.B + 16 * j * kNS + k, kNS);
        multiply_add(scores[2 * j], c, b[0]);
        multiply_add(scores[2 * j + 1], c, b[1]);
      }
    }
  }

  for (int i = 0; i < heads; ++i) {
    if (i > 0 && Shared::kStages == 1) {
      __syncthreads();
      stage(i);
    }
    copy_async_wait();
    __syncthreads();
    if (Shared::kStages == 2 && i + 1 < heads) stage(i + 1);
    if (t0 >= rows) continue;

    const int head = first_head + i, buffer = i % Shared::kStages;
    const T* x = shared.x[buffer];
    const float* dt = shared.dt[buffer];
    const float* log_decay = shared.log_decay[buffer];
    const float log_t[2] = {log_decay[t0 + tile_row()], log_decay[t0 + tile_row() + 8]};

    Tile y[P / 8];
    if (has_state) {  // exp(E_t) h C_t
#pragma unroll
      for (int k = 0; k < N; k += 16) {
        const FragmentA<T> c = load_a<true>(shared.C + t0 * kNS + k, kNS);
        multiply_add_row<true>(y, c, state_tile(i) + k, kNS);
      }
      const float decay[2] = {exp2f(log_t[0]), exp2f(log_t[1])};
      for_each_pair(y, [&](int half, int, float& v0, float& v1) {
        v0 *= decay[half];
        v1 *= decay[half];
      });
    }
#pragma unroll
    for (int j = 0; j < kWarps; ++j) {  // sum over s of exp(E_t - E_s) scores[t, s] dt_s x_s
      if (j > warp) continue;
      float masked[8];
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        const int half = (e >> 1) & 1, t = t0 + tile_row() + 8 * half;
        const int s = 16 * j + tile_column() + (e & 1) + (e & 4 ? 8 : 0);
        masked[e] =
            s <= t ? scores[2 * j + (e >> 2)].r[e & 3] * exp2f(log_t[half] - log_decay[s]) * dt[s] : 0.0f;
      }
      multiply_add_row<false>(y, make_a<T>(masked), x + 16 * j * kPS, kPS);
    }

    const float skip = a.D[head];
    for_each_pair(y, [&](int half, int p, float& v0, float& v1) {
      const int t = t0 + tile_row() + 8 * half;
      if (t >= rows) return;
      const float2 own = load_pair(x + t * kPS + p);
      store_pair(a.y + (token + t) * a.d_inner + head * P + p, v0 + skip * own.x, v1 + skip * own.y);
    });
  }
}

}  // namespace

bool scan_supports(int state, int head_dim) {
  return with_sizes(state, head_dim, [](auto, auto) { return cudaSuccess; }) == cudaSuccess;
}

cudaError_t launch_scan_forward(const MixerShape& shape, const void* xbc, const float* dt, const float* A_log,
                                const float* D, const void* states, bool has_initial, void* y,
                                cudaStream_t stream) {
  // Few long sequences leave multiprocessors idle: then the heads of a chunk are shared among several blocks,
  // each of which computes C B^T again.
  constexpr int64_t kEnoughBlocks = 512;
  const int64_t blocks = shape.sequences() * shape.chunks();
  const int heads = shape.heads();
  const int groups = static_cast<int>(blocks >= kEnoughBlocks ? 1 : (kEnoughBlocks + blocks - 1) / blocks);
  const int per_block = groups >= heads ? 1 : (heads + groups - 1) / groups;
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    return with_sizes(shape.state, shape.head_dim, [&](auto n, auto p) {
      constexpr int N = decltype(n)::value, P = decltype(p)::value;
      ScanArguments<T> arguments{static_cast<const T*>(xbc),
                                 dt,
                                 A_log,
                                 D,
                                 static_cast<const T*>(states),
                                 static_cast<T*>(y),
                                 heads,
                                 per_block,
                                 shape.length,
                                 shape.chunks(),
                                 shape.conv_channels(),
                                 shape.d_inner,
                                 shape.chunks() - (has_initial ? 0 : 1),
                                 has_initial ? 0 : 1};
      const dim3 grid(static_cast<unsigned>(blocks),
                      static_cast<unsigned>((heads + per_block - 1) / per_block));
      return launch(scan_kernel<T, N, P>, grid, ScanTile<T, N, P>::kRowWarps * kWarp,
                    sizeof(ScanShared<T, N, P>), stream, arguments);
    });
  });
}

}  // namespace bsm::kernels
