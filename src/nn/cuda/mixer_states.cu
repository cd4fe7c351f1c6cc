// State at the border of each chunk: the recurrence over chunks of the state space dual form (Dao & Gu 2024,
// section 6), and its adjoint, which runs from the last chunk to the first.
//
// A block owns one head of one sequence and keeps its state P x N in the float32 accumulators of its warps.
// Only the copies that the other kernels multiply with are rounded to the type of the input.
#include "nn/cuda/scan.cuh"

namespace bsm::kernels {

namespace {

template <typename T>
struct StatesArguments {
  const T* xbc;
  const T* d_y;
  const float* dt;
  const float* A_log;
  const float* initial;
  T* states;
  float* final_state;
  int heads, length, take, channels, d_inner, slots;
};

template <typename T, int N, int P>
struct StatesShared {
  using Sizes = ScanTile<T, N, P>;
  T v[2][Sizes::kElementsP];
  T k[2][Sizes::kElementsN];
  float dt[2][Sizes::kChunk];
  float weight[2][Sizes::kChunk];
  float decay[2];
};

template <typename T, int N, int P, bool Adjoint>
__global__ void __launch_bounds__(P * 2) states_kernel(StatesArguments<T> a) {
  using Sizes = ScanTile<T, N, P>;
  constexpr int kChunk = Sizes::kChunk, kWarps = P / 16, kTiles = N / 8;
  auto& shared = *reinterpret_cast<StatesShared<T, N, P>*>(dynamic_shared());
  const int64_t sequence = blockIdx.x / a.heads;
  const int head = static_cast<int>(blockIdx.x % a.heads), warp = static_cast<int>(threadIdx.x) / kWarp;
  const int chunks = (a.take + kChunk - 1) / kChunk;
  const float rate = decay_rate(a.A_log[head]);
  const auto chunk_at = [&](int i) { return Adjoint ? chunks - 1 - i : i; };

  // Tiles and weights of the i-th chunk taken, into buffer i % 2.
  const auto stage = [&](int i) {
    const int chunk = chunk_at(i), buffer = i % 2, rows = min(kChunk, a.take - chunk * kChunk);
    const int64_t token = sequence * a.length + chunk * kChunk;
    const T* xbc = a.xbc + token * a.channels;
    if constexpr (Adjoint) {
      load_tile<kChunk, P>(shared.v[buffer], a.d_y + token * a.d_inner + head * P, a.d_inner, rows);
    } else {
      load_tile<kChunk, P>(shared.v[buffer], xbc + head * P, a.channels, rows);
    }
    load_tile<kChunk, N>(shared.k[buffer], xbc + a.d_inner + (Adjoint ? N : 0), a.channels, rows);
    if (warp == i % kWarps) {
      float* weight = shared.weight[buffer];
      chunk_decay<kChunk>(a.dt + (sequence * a.heads + head) * a.length + chunk * kChunk, rows, rate,
                          shared.dt[buffer], weight);
      __syncwarp();
      const float total = weight[kChunk - 1];
      __syncwarp();
      for (int s = lane_id(); s < kChunk; s += kWarp)
        weight[s] = Adjoint ? exp2f(weight[s]) : exp2f(total - weight[s]) * shared.dt[buffer][s];
      if (lane_id() == 0) shared.decay[buffer] = exp2f(total);
    }
  };

  Tile h[kTiles];  // rows 16 * warp ... of the state
  const int p0 = 16 * warp;
  const auto address = [&](int half, int n) {
    return static_cast<int64_t>(p0 + tile_row() + 8 * half) * N + n;
  };
  const int64_t state_of_head = (sequence * a.heads + head) * P * N;
  if (a.initial != nullptr) {
    for_each_pair(h, [&](int half, int n, float& v0, float& v1) {
      const float2 pair = load_pair(a.initial + state_of_head + address(half, n));
      v0 = pair.x;
      v1 = pair.y;
    });
  }

  if (chunks > 0) stage(0);
  for (int i = 0; i < chunks; ++i) {
    copy_async_wait();
    __syncthreads();
    if (i + 1 < chunks) stage(i + 1);

    const int chunk = chunk_at(i), buffer = i % 2, rows = min(kChunk, a.take - chunk * kChunk);
    if (a.states != nullptr && (i > 0 || a.initial != nullptr)) {
      const int slot = Adjoint || a.initial != nullptr ? chunk : chunk - 1;
      T* to = a.states + ((sequence * a.slots + slot) * a.heads + head) * P * N;
      for_each_pair(
          h, [&](int half, int n, float& v0, float& v1) { store_pair(to + address(half, n), v0, v1); });
    }
    // h <- decay h + sum_s (weight_s v_s) k_s^T
    const float decay = shared.decay[buffer];
    for_each_pair(h, [&](int, int, float& v0, float& v1) {
      v0 *= decay;
      v1 *= decay;
    });
    for (int s = 0; s < rows; s += 16) {
      FragmentA<T> v = load_a<false>(shared.v[buffer] + s * Sizes::kStrideP + p0, Sizes::kStrideP);
      scale_columns(v, shared.weight[buffer] + s);
      multiply_add_row<false>(h, v, shared.k[buffer] + s * Sizes::kStrideN, Sizes::kStrideN);
    }
  }
  if (a.final_state != nullptr) {
    for_each_pair(h, [&](int half, int n, float& v0, float& v1) {
      store_pair(a.final_state + state_of_head + address(half, n), v0, v1);
    });
  }
}

}  // namespace

cudaError_t launch_scan_states(const MixerShape& shape, const void* xbc, const void* d_y, const float* dt,
                               const float* A_log, const float* initial, int length, void* states,
                               float* final_state, cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    return with_sizes(shape.state, shape.head_dim, [&](auto n, auto p) {
      constexpr int N = decltype(n)::value, P = decltype(p)::value;
      StatesArguments<T> arguments{static_cast<const T*>(xbc),
                                   static_cast<const T*>(d_y),
                                   dt,
                                   A_log,
                                   initial,
                                   static_cast<T*>(states),
                                   final_state,
                                   shape.heads(),
                                   shape.length,
                                   length,
                                   shape.conv_channels(),
                                   shape.d_inner,
                                   shape.chunks() - (initial != nullptr ? 0 : 1)};
      const dim3 grid(static_cast<unsigned>(shape.sequences() * shape.heads()));
      const auto kernel = d_y != nullptr ? states_kernel<T, N, P, true> : states_kernel<T, N, P, false>;
      return launch(kernel, grid, P * 2, sizeof(StatesShared<T, N, P>), stream, arguments);
    });
  });
}

}  // namespace bsm::kernels
