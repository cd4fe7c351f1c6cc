// Gradient of the scan, all chunks in parallel; h and G are the states of launch_scan_states() at both
// borders.
//
// With m[s, t] = exp(E_t - E_s) for s <= t in the chunk (else 0), S = C_t . B_s, W = m dt_s (x_s . d_y_t):
//   d u_s  = sum_t m S d_y_t        + exp(E - E_s) G B_s           (u = dt x)
//   d B_s  = sum_heads sum_t W C_t  + sum_heads exp(E - E_s) dt_s G^T x_s
//   d C_t  = sum_heads sum_s W B_s  + sum_heads exp(E_t) h^T d_y_t
// A step's log decay a_r = dt_r A multiplies every pair s < r <= t, so d a_r sums what passes over r:
//   pairs inside the chunk             sum over s < r <= t of S W
//   from before the chunk into it      sum over t >= r of exp(E_t) d_y_t . h C_t
//   from the chunk to after it         sum over s < r of exp(E - E_s) u_s . G B_s
//   from before the chunk to after it  exp(E) <h, G>
// The first is (rows - columns of S W) summed over t >= r: both come from the same numbers, so that pairs
// which do not pass over r cancel to rounding of float32; taking d_y . y - u . d_u for it would not.
//
// A block owns one chunk of one sequence and runs over its heads: d B and d C are sums over heads, so this
// order needs no atomics and repeats bit by bit. The inner sums over W share B and C, hence W is summed over
// heads first. Matrices are kept as [s, t], rows of 16 s to a warp; kColumnWarps warps divide the columns of
// a row.
#include "nn/cuda/scan.cuh"

namespace bsm::kernels {

namespace {

constexpr int kColumnWarps = 2;

template <typename T>
struct ScanBackwardArguments {
  const T* xbc;
  const float* dt;
  const float* A_log;
  const float* D;
  const T* d_y;
  const T* states;
  const T* adjoint;
  T* d_xbc;
  T* d_dt_raw;  // column of the first head in d_zxbcdt
  float* partial;
  Rows rows;
  int heads, chunks, channels, d_inner;
};

template <typename T, int N, int P, int Stages>
struct ScanBackwardShared {
  using Sizes = ScanTile<T, N, P>;
  struct Head {
    T x[Sizes::kElementsP];
    T d_y[Sizes::kElementsP];
    T h[Sizes::kElementsH];
    T G[Sizes::kElementsH];
  };
  /// A head's sums over parts of rows and columns, one entry per warp that has a part.
  struct Sums {
    float over_s[Sizes::kRowWarps][Sizes::kChunk];  // of S W, [., t]
    float over_t[kColumnWarps][Sizes::kChunk];      // of S W, [., s]
    float from_h[kColumnWarps][Sizes::kChunk];      // exp(E_t) d_y_t . h C_t
    float to_G[kColumnWarps][Sizes::kChunk];        // exp(E - E_s) x_s . G B_s
    float x_du[kColumnWarps][Sizes::kChunk];        // x_s . d u_s
    float x_dy[kColumnWarps][Sizes::kChunk];        // x_s . d_y_s
    float h_G[kColumnWarps * Sizes::kRowWarps];     // <h, G>
  };
  static constexpr int kStrideW = Padded<T, Sizes::kChunk>::kStride;
  T C[Sizes::kElementsN];
  T B[Sizes::kElementsN];
  union {
    Head head[Stages];
    T W[Sizes::kChunk * kStrideW];  // after the last head
  };
  Sums sums[2];
  float dt[3][Sizes::kChunk];
  float log_decay[3][Sizes::kChunk];
};

/// One warp: gradients of dt and of the values of the head, from the sums that all warps have left.
template <int RowWarps, typename T, typename Sums>
__device__ inline void finish_head(const ScanBackwardArguments<T>& a, const Sums& sums, const float* dt,
                                   const float* log_decay, bool h_and_G, int head, int64_t sequence,
                                   int first, int rows) {
  constexpr int kChunk = 16 * RowWarps, kParts = kChunk / kWarp;
  const float A = -expf(a.A_log[head]);
  float passed[kParts], to_G[kParts];
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const int i = part * kWarp + lane_id();
    passed[part] = to_G[part] = 0;
    if (i >= rows) continue;
    for (int warp = 0; warp <= i / 16; ++warp) passed[part] += sums.over_s[warp][i];
    float out = 0;
    for (int warp = 0; warp < kColumnWarps; ++warp) {
      passed[part] += sums.from_h[warp][i] - sums.over_t[warp][i];
      out += sums.to_G[warp][i];
    }
    to_G[part] = out * dt[i];
  }
  // passed <- its sums over t >= r, to_G <- its sums over s < r
  float carry = 0;
#pragma unroll
  for (int part = kParts - 1; part >= 0; --part) {
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const float after = __shfl_down_sync(0xffffffffu, passed[part], distance);
      if (lane_id() + distance < kWarp) passed[part] += after;
    }
    passed[part] += carry;
    carry = __shfl_sync(0xffffffffu, passed[part], 0);
  }
  carry = 0;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    float sum = to_G[part];
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const float before = __shfl_up_sync(0xffffffffu, sum, distance);
      if (lane_id() >= distance) sum += before;
    }
    to_G[part] = carry + sum - to_G[part];
    carry += __shfl_sync(0xffffffffu, sum, kWarp - 1);
  }
  float across = 0;
  if (h_and_G) {
    for (int warp = 0; warp < kColumnWarps * RowWarps; ++warp) across += sums.h_G[warp];
    across *= exp2f(log_decay[kChunk - 1]);
  }

  float d_A_log = 0, d_dt_bias = 0, d_D = 0;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const int i = part * kWarp + lane_id();
    if (i >= rows) continue;
    float x_du = 0;
    for (int warp = 0; warp < kColumnWarps; ++warp) {
      x_du += sums.x_du[warp][i];
      d_D += sums.x_dy[warp][i];
    }
    const float d_a = passed[part] + to_G[part] + across;
    // dt = softplus(raw), whose slope is 1 - exp(-dt)
    const float d_raw = (A * d_a + x_du) * -expm1f(-dt[i]);
    a.d_dt_raw[a.rows.sequence(sequence) + a.rows.element(first + i) + head] = from_float<T>(d_raw);
    d_A_log += d_a * A * dt[i];
    d_dt_bias += d_raw;
  }
  d_A_log = lane_sum(d_A_log);
  d_dt_bias = lane_sum(d_dt_bias);
  d_D = lane_sum(d_D);
  if (lane_id() == 0) {
    float* to = a.partial + static_cast<int64_t>(blockIdx.x) * 3 * a.heads + head;
    to[0] = d_A_log;
    to[a.heads] = d_dt_bias;
    to[2 * a.heads] = d_D;
  }
}

template <typename T, int N, int P, int Stages>
__global__ void __launch_bounds__(ScanTile<T, N, P>::kRowWarps* kColumnWarps* kWarp, 1)
    scan_backward_kernel(ScanBackwardArguments<T> a) {
  using Sizes = ScanTile<T, N, P>;
  using Shared = ScanBackwardShared<T, N, P, Stages>;
  constexpr int kChunk = Sizes::kChunk, kRowWarps = Sizes::kRowWarps, kWarps = kRowWarps * kColumnWarps;
  constexpr int kNS = Sizes::kStrideN, kPS = Sizes::kStrideP;
  constexpr int kP = P / kColumnWarps,
                kN = N >= 16 * kColumnWarps ? N / kColumnWarps : 16;  // columns of a warp
  constexpr int kColumnTiles = kRowWarps / kColumnWarps;
  auto& shared = *reinterpret_cast<Shared*>(dynamic_shared());
  const int64_t sequence = blockIdx.x / a.chunks;
  const int chunk = static_cast<int>(blockIdx.x % a.chunks), first = chunk * kChunk;
  const int rows = min(kChunk, a.rows.length - first), row_tiles = (rows + 15) / 16;
  const int warp = static_cast<int>(threadIdx.x) / kWarp, row_warp = warp % kRowWarps,
            column_warp = warp / kRowWarps;
  const int s0 = 16 * row_warp, p0 = kP * column_warp, n0 = kN * column_warp;
  const bool active = row_warp < row_tiles, has_n = n0 < N;
  const bool has_h = chunk > 0, has_G = chunk + 1 < a.chunks;
  const int64_t token = sequence * a.rows.length + first;
  const T* xbc = a.xbc + token * a.channels;

  const auto stage = [&](int head) {
    auto& to = shared.head[head % Stages];
    load_tile<kChunk, P>(to.x, xbc + head * P, a.channels, rows);
    load_tile<kChunk, P>(to.d_y, a.d_y + token * a.d_inner + head * P, a.d_inner, rows);
    const int64_t slots = sequence * (a.chunks - 1);
    if (has_h) load_tile<P, N>(to.h, a.states + ((slots + chunk - 1) * a.heads + head) * P * N, N, P);
    if (has_G) load_tile<P, N>(to.G, a.adjoint + ((slots + chunk) * a.heads + head) * P * N, N, P);
    if (warp == head % kWarps)
      chunk_decay<kChunk>(a.dt + (sequence * a.heads + head) * a.rows.length + first, rows,
                          decay_rate(a.A_log[head]), shared.dt[head % 3], shared.log_decay[head % 3]);
  };
  const auto finish = [&](int head) {
    finish_head<kRowWarps>(a, shared.sums[head % 2], shared.dt[head % 3], shared.log_decay[head % 3],
                           has_h && has_G, head, sequence, first, rows);
  };

  load_tile<kChunk, N>(shared.B, xbc + a.d_inner, a.channels, rows);
  load_tile<kChunk, N>(shared.C, xbc + a.d_inner + N, a.channels, rows);
  stage(0);
  copy_async_wait();
  __syncthreads();

  Tile scores[kChunk / 8];  // S[s, t] for t >= s
  if (active) {
#pragma unroll
    for (int k = 0; k < N; k += 16) {
      const FragmentA<T> b = load_a<true>(shared.B + s0 * kNS + k, kNS);
#pragma unroll
      for (int j = 0; j < kRowWarps; ++j) {
        if (j < row_warp || j >= row_tiles) continue;
        FragmentB<T> c[2];
        load_b_pair<true>(c, shared.C + 16 * j * kNS + k, kNS);
        multiply_add(scores[2 * j], b, c[0]);
        multiply_add(scores[2 * j + 1], b, c[1]);
      }
    }
  }

  Tile W[2 * kColumnTiles];  // summed over heads; columns of 16 t, every kColumnWarps-th
  Tile d_B[kN / 8], d_C[kN / 8];
  for (int head = 0; head < a.heads; ++head) {
    if (Stages == 1 && head > 0) {
      __syncthreads();
      stage(head);
    }
    copy_async_wait();
    __syncthreads();
    if (Stages == 2 && head + 1 < a.heads) stage(head + 1);
    if (head > 0 && warp == (head - 1) % kWarps) finish(head - 1);

    const auto& in = shared.head[head % Stages];
    auto& sums = shared.sums[head % 2];
    const float* dt = shared.dt[head % 3];
    const float* log_decay = shared.log_decay[head % 3];
    const float log_total = log_decay[kChunk - 1];
    if (has_h && has_G) {
      float sum = 0;
      for (int i = static_cast<int>(threadIdx.x) * 2; i < P * N; i += kWarps * kWarp * 2) {
        const int at = i / N * kNS + i % N;
        const float2 h = load_pair(in.h + at), G = load_pair(in.G + at);
        sum += h.x * G.x + h.y * G.y;
      }
      sum = lane_sum(sum);
      if (lane_id() == 0) sums.h_G[warp] = sum;
    }
    if (!active) continue;

    const int s_of[2] = {s0 + tile_row(), s0 + tile_row() + 8};  // also as t, for d C
    const float log_s[2] = {log_decay[s_of[0]], log_decay[s_of[1]]};
    const float dt_s[2] = {dt[s_of[0]], dt[s_of[1]]};
    const float to_end[2] = {exp2f(log_total - log_s[0]), exp2f(log_total - log_s[1])};
    // Leaves the sum of each row's columns in row `s` of `to`; the four lanes of a row share it.
    const auto leave_row_sums = [&](float(&to)[kChunk], const float(&sum)[2]) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float all = lane_sum<3>(sum[half]);
        if (lane_id() % 4 == 0) to[s_of[half]] = all;
      }
    };

    Tile d_u[kP / 8];
    float to_G[2] = {0, 0};
    if (has_G) {
#pragma unroll
      for (int k = 0; k < N; k += 16) {
        const FragmentA<T> b = load_a<true>(shared.B + s0 * kNS + k, kNS);
        multiply_add_row<true>(d_u, b, in.G + p0 * kNS + k, kNS);
      }
      for_each_pair(d_u, [&](int half, int p, float& v0, float& v1) {
        const float2 x = load_pair(in.x + s_of[half] * kPS + p0 + p);
        v0 *= to_end[half];
        v1 *= to_end[half];
        to_G[half] += x.x * v0 + x.y * v1;
      });
    }
    leave_row_sums(sums.to_G[column_warp], to_G);

    float over_t[2] = {0, 0};
#pragma unroll
    for (int j = 0; j < kRowWarps; ++j) {
      if (j < row_warp || j >= row_tiles) continue;
      float decay[8], masked[8];
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        const int half = (e >> 1) & 1, t = 16 * j + tile_column() + (e & 1) + (e & 4 ? 8 : 0);
        decay[e] = t >= s_of[half] ? exp2f(log_decay[t] - log_s[half]) : 0.0f;
        masked[e] = decay[e] * scores[2 * j + (e >> 2)].r[e & 3];
      }
      const T* d_y = in.d_y + 16 * j * kPS;
      multiply_add_row<false>(d_u, make_a<T>(masked), d_y + p0, kPS);
      if (j % kColumnWarps != column_warp) continue;

      Tile w[2];
#pragma unroll
      for (int k = 0; k < P; k += 16)
        multiply_add_row<true>(w, load_a<true>(in.x + s0 * kPS + k, kPS), d_y + k, kPS);
      float over_s[4] = {0, 0, 0, 0};  // columns c, c + 1, c + 8, c + 9
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        const int half = (e >> 1) & 1;
        const float value = w[e >> 2].r[e & 3] * decay[e] * dt_s[half];
        W[2 * (j / kColumnWarps) + (e >> 2)].r[e & 3] += value;
        const float passes = value * scores[2 * j + (e >> 2)].r[e & 3];
        over_t[half] += passes;
        over_s[(e & 1) + (e >> 2) * 2] += passes;
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float all = lane_sum<28>(over_s[i]);
        if (lane_id() < 4) sums.over_s[row_warp][16 * j + tile_column() + (i & 1) + (i & 2 ? 8 : 0)] = all;
      }
    }
    leave_row_sums(sums.over_t[column_warp], over_t);

    const float skip = a.D[head];
    float x_du[2] = {0, 0}, x_dy[2] = {0, 0};
    for_each_pair(d_u, [&](int half, int p, float& v0, float& v1) {
      const int s = s_of[half];
      const float2 x = load_pair(in.x + s * kPS + p0 + p), d_y = load_pair(in.d_y + s * kPS + p0 + p);
      x_du[half] += x.x * v0 + x.y * v1;
      x_dy[half] += x.x * d_y.x + x.y * d_y.y;
      if (s < rows)
        store_pair(a.d_xbc + (token + s) * a.channels + head * P + p0 + p, dt_s[half] * v0 + skip * d_y.x,
                   dt_s[half] * v1 + skip * d_y.y);
    });
    leave_row_sums(sums.x_du[column_warp], x_du);
    leave_row_sums(sums.x_dy[column_warp], x_dy);

    float from_h[2] = {0, 0};
    if (has_h && has_n) {
      const float from_start[2] = {exp2f(log_s[0]), exp2f(log_s[1])};
      Tile product[kN / 8];
#pragma unroll
      for (int k = 0; k < P; k += 16)
        multiply_add_row<false>(product, load_a<true>(in.d_y + s0 * kPS + k, kPS), in.h + k * kNS + n0, kNS);
#pragma unroll
      for (int j = 0; j < kN / 8; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) product[j].r[e] *= from_start[e >> 1];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float2 c = load_pair(shared.C + s_of[half] * kNS + n0 + 8 * j + tile_column());
          from_h[half] += c.x * product[j].r[2 * half] + c.y * product[j].r[2 * half + 1];
        }
#pragma unroll
        for (int e = 0; e < 4; ++e) d_C[j].r[e] += product[j].r[e];
      }
    }
    leave_row_sums(sums.from_h[column_warp], from_h);

    if (has_G && has_n) {
      Tile product[kN / 8];
#pragma unroll
      for (int k = 0; k < P; k += 16)
        multiply_add_row<false>(product, load_a<true>(in.x + s0 * kPS + k, kPS), in.G + k * kNS + n0, kNS);
#pragma unroll
      for (int j = 0; j < kN / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) d_B[j].r[e] += product[j].r[e] * to_end[e >> 1] * dt_s[e >> 1];
    }
  }

  __syncthreads();
  if (warp == 0) finish(a.heads - 1);
  if (active) {
#pragma unroll
    for (int j = 0; j < kRowWarps; ++j) {
      if (j % kColumnWarps != column_warp || j < row_warp || j >= row_tiles) continue;
#pragma unroll
      for (int e = 0; e < 8; e += 2) {
        const Tile& tile = W[2 * (j / kColumnWarps) + (e >> 2)];
        store_pair(shared.W + (s0 + tile_row() + (e & 2 ? 8 : 0)) * Shared::kStrideW + 16 * j +
                       tile_column() + (e & 4 ? 8 : 0),
                   tile.r[e & 3], tile.r[(e & 3) + 1]);
      }
    }
  }
  __syncthreads();
  if (!active || !has_n) return;
#pragma unroll
  for (int j = 0; j < kRowWarps; ++j) {
    if (j >= row_tiles) continue;
    if (j <= row_warp)  // d C, its rows t in the place of s0
      multiply_add_row<false>(d_C, load_a<false>(shared.W + 16 * j * Shared::kStrideW + s0, Shared::kStrideW),
                              shared.B + 16 * j * kNS + n0, kNS);
    if (j >= row_warp)
      multiply_add_row<false>(d_B, load_a<true>(shared.W + s0 * Shared::kStrideW + 16 * j, Shared::kStrideW),
                              shared.C + 16 * j * kNS + n0, kNS);
  }
  T* d_xbc = a.d_xbc + token * a.channels + a.d_inner + n0;
  const auto store_to = [&](T* to) {
    return [=](int half, int n, float& v0, float& v1) {
      const int s = s0 + tile_row() + 8 * half;
      if (s < rows) store_pair(to + static_cast<int64_t>(s) * a.channels + n, v0, v1);
    };
  };
  for_each_pair(d_B, store_to(d_xbc));
  for_each_pair(d_C, store_to(d_xbc + N));
}

template <typename T, int N, int P, int Stages>
cudaError_t launch_stages(const ScanBackwardArguments<T>& arguments, unsigned blocks, cudaStream_t stream) {
  return launch(scan_backward_kernel<T, N, P, Stages>, dim3(blocks),
                ScanTile<T, N, P>::kRowWarps * kColumnWarps * kWarp,
                sizeof(ScanBackwardShared<T, N, P, Stages>), stream, arguments);
}

}  // namespace

size_t scan_shared_bytes(const MixerShape& shape) {
  size_t bytes = 0;
  with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    return with_sizes(shape.state, shape.head_dim, [&](auto n, auto p) {
      bytes = sizeof(ScanBackwardShared<T, decltype(n)::value, decltype(p)::value, 1>);
      return cudaSuccess;
    });
  });
  return bytes;
}

cudaError_t launch_scan_backward(const MixerShape& shape, const void* xbc, const float* dt,
                                 const float* A_log, const float* D, const void* d_y, const void* states,
                                 const void* adjoint, void* d_xbc, void* d_zxbcdt, float* partial,
                                 cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(shape.sequences() * shape.chunks());
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    return with_sizes(shape.state, shape.head_dim, [&](auto n, auto p) {
      constexpr int N = decltype(n)::value, P = decltype(p)::value;
      const ScanBackwardArguments<T> arguments{
          static_cast<const T*>(xbc),
          dt,
          A_log,
          D,
          static_cast<const T*>(d_y),
          static_cast<const T*>(states),
          static_cast<const T*>(adjoint),
          static_cast<T*>(d_xbc),
          static_cast<T*>(d_zxbcdt) + shape.d_inner + shape.conv_channels(),
          partial,
          Rows(shape, contiguous(shape, static_cast<const T*>(d_zxbcdt))),
          shape.heads(),
          shape.chunks(),
          shape.conv_channels(),
          shape.d_inner};
      if constexpr (sizeof(T) == 2) {
        // Copying the next head during the work on one needs twice the tiles: for large states not every GPU
        // has the shared memory.
        constexpr int kTwoStages = sizeof(ScanBackwardShared<T, N, P, 2>), kEveryGpu = 99 * 1024;
        int available = kEveryGpu;
        if (kTwoStages > kEveryGpu) {
          const cudaError_t error = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, available);
          if (error != cudaSuccess) return error;
        }
        if (kTwoStages <= available) return launch_stages<T, N, P, 2>(arguments, blocks, stream);
        if constexpr (kTwoStages > kEveryGpu) return launch_stages<T, N, P, 1>(arguments, blocks, stream);
        return cudaErrorInvalidConfiguration;
      } else {
        return launch_stages<T, N, P, 1>(arguments, blocks, stream);
      }
    });
  });
}

}  // namespace bsm::kernels
