// The mixer core for one sequence, in the chunked ("state space dual") form of Dao & Gu 2024, section 6, with
// fused convolution, gate and norm. Compiled once per instruction set (BSM_CPU_LEVEL names it).
//
// Within a chunk, with a_t = exp(dt_t A) and h the state before it:
//   y_i = (a_1..a_i) C_i h + sum_{j <= i} M_ij x_j,   M_ij = (C_i . B_j) (a_{j+1}..a_i) dt_j, and D added to
//   M_ii, h'  = (a_1..a_Q) h + sum_j (a_{j+1}..a_Q) dt_j B_j x_j^T.
// The products C_i . B_j serve all heads. Everything a chunk needs stays in the second level cache.
#include "nn/cpu/mixer_kernel.h"

#include "nn/cpu/matmul_tile.h"
#include "nn/cpu/mixer_workspace.h"
#include "nn/cpu/simd.h"

namespace bsm::BSM_CPU_LEVEL {
namespace {

constexpr float kNormEps = 1e-5f;

class SequenceScan {
 public:
  SequenceScan(const MixerJob& job, int64_t sequence, float* scratch)
      : job_(job), w_(job, scratch), sequence_(sequence), o_(sequence / job.inner), i_(sequence % job.inner) {
    for (int64_t c = 0; c < job.conv_channels(); ++c) w_.zeros[c] = 0.0f;
  }

  void run() {
    import_state();
    for (int64_t c = 0; c < job_.chunk_count; ++c) {
      const MixerChunk& chunk = job_.chunks[c];
      convolve(chunk);
      decays(chunk);
      correlate(chunk);
      for (int64_t head = 0; head < job_.heads; ++head) {
        head_output(chunk, head);
        if (chunk.writes_state) advance_state(chunk, head);
      }
      gate_and_norm(chunk);
      if (chunk.begin + chunk.length == job_.state_at) export_state();
    }
  }

 private:
  int64_t position(int64_t step) const { return job_.backward ? job_.length - 1 - step : step; }
  const float* row(int64_t step) const {
    return job_.input + o_ * job_.stride_outer + position(step) * job_.stride_step + i_ * job_.stride_inner;
  }
  // Input of the convolution at a step, which may lie before the sequence: [conv channels].
  const float* conv_row(int64_t step) const {
    if (step >= 0) return row(step) + job_.d_inner;
    if (!job_.conv_state_in) return w_.zeros;
    const int64_t kept = job_.conv_width - 1;
    return job_.conv_state_in + (sequence_ * kept + step + kept) * job_.conv_channels();
  }

  void import_state() {
    const int64_t N = job_.state, P = job_.head_dim, PP = w_.padded_head;
    if (job_.chunk_count == 1 && !job_.ssm_state_in && !job_.ssm_state_out) return;
    for (int64_t i = 0; i < job_.heads * N * PP; ++i) w_.h[i] = 0.0f;
    if (!job_.ssm_state_in) return;
    for (int64_t head = 0; head < job_.heads; ++head)
      transpose(job_.ssm_state_in + (sequence_ * job_.heads + head) * P * N, N, P, N, w_.h + head * N * PP,
                PP);
  }

  void export_state() {
    const int64_t N = job_.state, P = job_.head_dim, PP = w_.padded_head;
    if (job_.ssm_state_out)
      for (int64_t head = 0; head < job_.heads; ++head)
        transpose(w_.h + head * N * PP, PP, N, P,
                  job_.ssm_state_out + (sequence_ * job_.heads + head) * P * N, N);
    if (!job_.conv_state_out) return;
    const int64_t kept = job_.conv_width - 1, channels = job_.conv_channels();
    for (int64_t k = 0; k < kept; ++k)
      __builtin_memcpy(job_.conv_state_out + (sequence_ * kept + k) * channels,
                       conv_row(job_.state_at - kept + k), channels * sizeof(float));
  }

  // One vector of SiLU(convolution) at kSteps steps from `step`. kTaps 0: any width, and `rows` is not used.
  template <int kTaps, int kSteps, typename Load>
  void convolve_vector(const float* const* rows, int64_t step, int64_t c, float* out, int64_t out_stride,
                       int64_t count, Load load_channels) const {
    const int64_t width = kTaps > 0 ? kTaps : job_.conv_width;
    Vec v[kSteps];
    for (int s = 0; s < kSteps; ++s) v[s] = load_channels(job_.conv_bias + c);
#pragma GCC unroll 8
    for (int64_t k = 0; k < width; ++k) {
      const Vec tap = load_channels(job_.conv_taps + k * job_.conv_channels() + c);
#pragma GCC unroll 8
      for (int s = 0; s < kSteps; ++s)
        v[s] += tap * load_channels((kTaps > 0 ? rows[s + k] : conv_row(step + s + 1 - width + k)) + c);
    }
#pragma GCC unroll 8
    for (int s = 0; s < kSteps; ++s) store_part(out + s * out_stride, silu(v[s]), count);
  }

  // Channels [first, first + count) at kSteps steps.
  template <int kTaps, int kSteps>
  void convolve_channels(const float* const* rows, int64_t step, int64_t first, int64_t count, float* out,
                         int64_t out_stride) const {
    int64_t c = 0;
    for (; c + kLanes <= count; c += kLanes)
      convolve_vector<kTaps, kSteps>(rows, step, first + c, out + c, out_stride, kLanes, load);
    if (c < count)
      convolve_vector<kTaps, kSteps>(rows, step, first + c, out + c, out_stride, count - c,
                                     [&](const float* p) { return load_part(p, count - c); });
  }

  template <int kTaps, int kSteps>
  void convolve_steps(int64_t step, int64_t q) {
    const int64_t P = job_.head_dim, N = job_.state, PI = w_.padded_inner;
    const float* rows[kTaps + kSteps] = {};
    for (int r = 0; r < kTaps + kSteps - 1; ++r) rows[r] = conv_row(step + 1 - kTaps + r);
    if (w_.padded_head == P) {
      convolve_channels<kTaps, kSteps>(rows, step, 0, job_.d_inner, w_.x + q * PI, PI);
    } else {
      for (int64_t i = 0; i < kSteps * PI; ++i) w_.x[q * PI + i] = 0.0f;
      for (int64_t head = 0; head < job_.heads; ++head)
        convolve_channels<kTaps, kSteps>(rows, step, head * P, P, w_.x + q * PI + head * w_.padded_head, PI);
    }
    convolve_channels<kTaps, kSteps>(rows, step, job_.d_inner, N, w_.B + q * N, N);
    convolve_channels<kTaps, kSteps>(rows, step, job_.d_inner + N, N, w_.C + q * N, N);
    for (int s = 0; s < kSteps; ++s) {
      const float* dt = row(step + s) + 2 * job_.d_inner + 2 * N;
      for (int64_t head = 0; head < job_.heads; ++head) w_.dt[head * w_.padded_chunk + q + s] = dt[head];
    }
  }

  void convolve(const MixerChunk& chunk) {
    int64_t q = 0;
    if (job_.conv_width == 4) {
      // Four steps at a time share the taps and most of the rows.
      for (; q + 4 <= chunk.length; q += 4) convolve_steps<4, 4>(chunk.begin + q, q);
      for (; q < chunk.length; ++q) convolve_steps<4, 1>(chunk.begin + q, q);
    } else {
      for (; q < chunk.length; ++q) convolve_steps<0, 1>(chunk.begin + q, q);
    }
  }

  // dt, a_t and their products from the start and to the end of the chunk. The products are exponentials of
  // sums, not running products: a rounding error in a_t near 1 would be raised to the power of the chunk's
  // length.
  void decays(const MixerChunk& chunk) {
    const int64_t Q = chunk.length, stride = w_.padded_chunk;
    for (int64_t head = 0; head < job_.heads; ++head) {
      float *dt = w_.dt + head * stride, *decay = w_.decay + head * stride;
      float *since = w_.since + head * stride, *to_end = w_.to_end + head * stride;
      for (int64_t q = Q; q < round_up(Q); ++q) dt[q] = 0.0f;
      for (int64_t q = 0; q < Q; q += kLanes) {
        const Vec step = softplus(load(dt + q) + job_.dt_bias[head]);
        store(dt + q, step);
        store(decay + q, step * job_.A[head]);
      }
      float total = 0.0f;
      for (int64_t q = 0; q < Q; ++q) since[q] = total += decay[q];
      total = 0.0f;
      for (int64_t q = Q - 1; q >= 0; --q) {
        to_end[q] = total;
        total += decay[q];
      }
      for (int64_t q = 0; q < Q; q += kLanes) {
        store(decay + q, exp(load(decay + q)));
        store(since + q, exp(load(since + q)));
        store(to_end + q, exp(load(to_end + q)) * load(dt + q));
      }
    }
  }

  void correlate(const MixerChunk& chunk) {
    const int64_t Q = chunk.length, N = job_.state, stride = w_.padded_chunk;
    transpose(w_.B, N, Q, N, w_.B_t, stride);
    for_rows(Q, [&]<int R>(int64_t i) {
      for_columns<R>(round_up(i + R), [&](auto tile, int64_t j) {
        tile.multiply_add(w_.C + i * N, N, w_.B_t + j, stride, N);
        tile.store_to(w_.CB + i * stride + j, stride);
      });
    });
  }

  // Rows i.. of M for one head; columns up to the last row's diagonal. fade carries over from row to row.
  void weight_rows(int64_t head, int64_t i0, int64_t rows) {
    // 1.0 at lane l of the load from kOneHot + kLanes - 1 - l.
    alignas(64) static constexpr auto kOneHot = [] {
      struct {
        float values[2 * kLanes];
      } t{};
      t.values[kLanes - 1] = 1.0f;
      return t;
    }();
    const int64_t stride = w_.padded_chunk;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t i = i0 + r, diagonal = i / kLanes * kLanes;
      const Vec decay = broadcast(w_.decay[head * stride + i]);
      const float* CB = w_.CB + i * stride;
      float* M = w_.M + r * stride;
      for (int64_t j = 0; j < diagonal; j += kLanes) {
        const Vec fade = load(w_.fade + j) * decay;
        store(w_.fade + j, fade);
        store(M + j, load(CB + j) * fade);
      }
      const Vec here = load(kOneHot.values + kLanes - 1 - (i - diagonal));
      const Vec fade = load(w_.fade + diagonal) * decay + here * w_.dt[head * stride + i];
      store(w_.fade + diagonal, fade);
      store(M + diagonal, load(CB + diagonal) * fade + here * job_.D[head]);
      for (int64_t j = diagonal + kLanes; j < i0 + rows; j += kLanes) store(M + j, Vec{});
    }
  }

  void head_output(const MixerChunk& chunk, int64_t head) {
    const int64_t Q = chunk.length, N = job_.state, PP = w_.padded_head, PI = w_.padded_inner;
    const float* h = w_.h + head * N * PP;
    const float* x = w_.x + head * PP;
    for (int64_t j = 0; j < Q; j += kLanes) store(w_.fade + j, Vec{});
    for_rows(Q, [&]<int R>(int64_t i) {
      weight_rows(head, i, R);
      for_columns<R>(PP, [&](auto tile, int64_t p) {
        if (chunk.reads_state) {
          tile.multiply_add(w_.C + i * N, N, h + p, PP, N);
          tile.scale_rows(w_.since + head * w_.padded_chunk + i);
        }
        tile.multiply_add(w_.M, w_.padded_chunk, x + p, PI, i + R);
        tile.store_to(w_.y + i * PI + head * PP + p, PI);
      });
    });
  }

  void advance_state(const MixerChunk& chunk, int64_t head) {
    const int64_t Q = chunk.length, N = job_.state, PP = w_.padded_head, PI = w_.padded_inner;
    for (int64_t q = 0; q < Q; ++q)
      for (int64_t n = 0; n < N; n += kLanes)
        store_part(w_.B_end + q * N + n,
                   load_part(w_.B + q * N + n, N - n) * w_.to_end[head * w_.padded_chunk + q], N - n);
    float* h = w_.h + head * N * PP;
    const float decay = w_.since[head * w_.padded_chunk + Q - 1];
    for_rows(N, [&]<int R>(int64_t n) {
      for_columns<R>(PP, [&](auto tile, int64_t p) {
        tile.template multiply_add<true>(w_.B_end + n, N, w_.x + head * PP + p, PI, Q);
        tile.accumulate_to(h + n * PP + p, PP, decay);
      });
    });
  }

  // RMSNorm(y * SiLU(z)) * norm_weight, into the output.
  void gate_and_norm(const MixerChunk& chunk) {
    const bool dense = w_.padded_head == job_.head_dim;
    const int64_t parts = dense ? 1 : job_.heads, count = dense ? job_.d_inner : job_.head_dim;
    for (int64_t q = 0; q < chunk.length; ++q) {
      const float* z = row(chunk.begin + q);
      float* y = w_.y + q * w_.padded_inner;
      Vec squares{};
      for (int64_t part = 0; part < parts; ++part)
        for (int64_t c = 0; c < count; c += kLanes) {
          float* at = y + part * w_.padded_head + c;
          const Vec gated = load(at) * silu(load_part(z + part * count + c, count - c));
          store(at, gated);
          squares += gated * gated;
        }
      const float scale = 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(job_.d_inner) + kNormEps);
      float* out =
          job_.output + ((o_ * job_.length + position(chunk.begin + q)) * job_.inner + i_) * job_.d_inner;
      for (int64_t part = 0; part < parts; ++part)
        for (int64_t c = 0; c < count; c += kLanes)
          store_part(out + part * count + c,
                     load(y + part * w_.padded_head + c) * scale *
                         load_part(job_.norm_weight + part * count + c, count - c),
                     count - c);
    }
  }

  const MixerJob& job_;
  const Workspace w_;
  const int64_t sequence_, o_, i_;
};

void run_sequence(const MixerJob& job, int64_t sequence, float* scratch) {
  const FlushDenormals flush;
  SequenceScan(job, sequence, scratch).run();
}

int64_t scratch_floats(const MixerJob& job) { return Workspace(job, nullptr).floats; }

template <Vec (*kFunction)(Vec)>
void apply(float* values, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes)
    store_part(values + i, kFunction(load_part(values + i, count - i)), count - i);
}

}  // namespace

CpuKernels kernels(CpuLevel level, const char* name) {
  return {level, name, scratch_floats, run_sequence, apply<exp>, apply<silu>, apply<softplus>};
}

}  // namespace bsm::BSM_CPU_LEVEL
