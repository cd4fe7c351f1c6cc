// Convolution, scan and gate of one chunk of one sequence, in the chunked ("state space dual") form of Dao &
// Gu 2024, section 6.
//
// Within a chunk, with a_t = exp(dt_t A) and h the state before it:
//   y_i = (a_1..a_i) C_i h + sum_{j <= i} M_ij x_j,   M_ij = (C_i . B_j) (a_{j+1}..a_i) dt_j, and D added to
//   M_ii, h'  = (a_1..a_Q) h + sum_j (a_{j+1}..a_Q) dt_j B_j x_j^T.
// The products C_i . B_j serve all heads. Everything a chunk needs stays in the second level cache.
#pragma once

#include "nn/cpu/matmul_tile.h"
#include "nn/cpu/pair_workspace.h"

namespace bsm::BSM_CPU_LEVEL {

constexpr float kNormEps = 1e-5f;

class ChunkScan {
 public:
  /// @param s  number of the sequence within the slice
  ChunkScan(const PairJob& job, const PairStep& step, const Workspace& workspace, int64_t s)
      : job_(job),
        l_(job.layout),
        d_(job.direction[step.direction]),
        chunk_(step.chunk),
        w_(workspace),
        sequence_(step.first_sequence + s),
        rows_(workspace.rows + s * step.chunk.length * job.layout.row),
        gate_scale_(workspace.gate_scale + s * step.chunk.length),
        history_(workspace.history + s * (l_.conv_width - 1) * l_.channels),
        h_(workspace.h + s * l_.heads * l_.padded_state * l_.padded_head),
        carried_(step.direction == 0) {}

  void run() {
    if (chunk_.begin == 0) start();
    convolve();
    decays();
    correlate();
    for (int64_t i = 0; i < chunk_.length * kLanes; i += kLanes) store(w_.squares + i, Vec{});
    for (int64_t head = 0; head < l_.heads; ++head) {
      head_output(head);
      if (chunk_.writes_state) advance_state(head);
    }
    for (int64_t q = 0; q < chunk_.length; ++q)
      gate_scale_[q] = 1.0f / __builtin_sqrtf(sum(load(w_.squares + q * kLanes)) /
                                                  static_cast<float>(l_.heads * l_.head_dim) +
                                              kNormEps);
    advance_history();
    if (carried_ && chunk_.begin + chunk_.length == job_.state_at) export_state();
  }

 private:
  /// Inputs of the convolution at an element of the chunk, or (negative) before it: [channels].
  const float* conv_row(int64_t q) const {
    return q >= 0 ? rows_ + q * l_.row + l_.inner : history_ + (l_.conv_width - 1 + q) * l_.channels;
  }

  /// Calls copy(padded offset, dense offset, count) for the runs of a row of channels.
  template <typename Copy>
  void for_channel_runs(Copy copy) const {
    for (int64_t head = 0; head < l_.heads; ++head)
      copy(head * l_.padded_head, head * l_.head_dim, l_.head_dim);
    const int64_t d_inner = l_.heads * l_.head_dim;
    copy(l_.inner, d_inner, l_.state);
    copy(l_.inner + l_.padded_state, d_inner + l_.state, l_.state);
  }

  /// The state before the first element.
  void start() {
    const int64_t N = l_.padded_state, PP = l_.padded_head, kept = l_.conv_width - 1;
    const int64_t dense = l_.heads * l_.head_dim + 2 * l_.state;
    __builtin_memset(history_, 0, kept * l_.channels * sizeof(float));
    __builtin_memset(h_, 0, l_.heads * N * PP * sizeof(float));
    if (carried_ && job_.conv_state_in)
      for (int64_t k = 0; k < kept; ++k)
        for_channel_runs([&](int64_t padded, int64_t at, int64_t count) {
          __builtin_memcpy(history_ + k * l_.channels + padded,
                           job_.conv_state_in + (sequence_ * kept + k) * dense + at, count * sizeof(float));
        });
    if (carried_ && job_.ssm_state_in)
      for (int64_t head = 0; head < l_.heads; ++head)
        transpose(job_.ssm_state_in + (sequence_ * l_.heads + head) * l_.head_dim * l_.state, l_.state,
                  l_.head_dim, l_.state, h_ + head * N * PP, PP);
  }

  void export_state() const {
    const int64_t N = l_.padded_state, PP = l_.padded_head, kept = l_.conv_width - 1;
    const int64_t dense = l_.heads * l_.head_dim + 2 * l_.state;
    if (job_.conv_state_out)
      for (int64_t k = 0; k < kept; ++k)
        for_channel_runs([&](int64_t padded, int64_t at, int64_t count) {
          __builtin_memcpy(job_.conv_state_out + (sequence_ * kept + k) * dense + at,
                           history_ + k * l_.channels + padded, count * sizeof(float));
        });
    if (job_.ssm_state_out)
      for (int64_t head = 0; head < l_.heads; ++head)
        transpose(h_ + head * N * PP, PP, l_.state, l_.head_dim,
                  job_.ssm_state_out + (sequence_ * l_.heads + head) * l_.head_dim * l_.state, l_.state);
  }

  void advance_history() {
    const int64_t kept = l_.conv_width - 1;
    for (int64_t k = 0; k < kept; ++k)  // a short chunk moves rows of the history forwards
      __builtin_memmove(history_ + k * l_.channels, conv_row(chunk_.length - kept + k),
                        l_.channels * sizeof(float));
  }

  // SiLU(convolution) of all channels at kSteps elements. kTaps 0: any width.
  template <int kTaps, int kSteps>
  void convolve_steps(int64_t q) {
    const int64_t width = kTaps > 0 ? kTaps : l_.conv_width;
    const float* rows[kTaps + kSteps] = {};
    if constexpr (kTaps > 0)
      for (int r = 0; r < kTaps + kSteps - 1; ++r) rows[r] = conv_row(q + 1 - kTaps + r);
    for (int64_t c = 0; c < l_.channels; c += kLanes) {
      Vec v[kSteps];
      for (int s = 0; s < kSteps; ++s) v[s] = load(d_.conv_bias + c);
#pragma GCC unroll 8
      for (int64_t k = 0; k < width; ++k) {
        const Vec tap = load(d_.taps + k * l_.channels + c);
#pragma GCC unroll 8
        for (int s = 0; s < kSteps; ++s)
          v[s] += tap * load((kTaps > 0 ? rows[s + k] : conv_row(q + s + 1 - width + k)) + c);
      }
#pragma GCC unroll 8
      for (int s = 0; s < kSteps; ++s) store(w_.xbc + (q + s) * l_.channels + c, silu(v[s]));
    }
  }

  void convolve() {
    int64_t q = 0;
    if (l_.conv_width == 4) {
      // Four elements at a time share the taps and most of the rows.
      for (; q + 4 <= chunk_.length; q += 4) convolve_steps<4, 4>(q);
      for (; q < chunk_.length; ++q) convolve_steps<4, 1>(q);
    } else {
      for (; q < chunk_.length; ++q) convolve_steps<0, 1>(q);
    }
  }

  // dt, a_t and their products from the start and to the end of the chunk. The products are exponentials of
  // sums, not running products: a rounding error in a_t near 1 would be raised to the power of the chunk's
  // length.
  void decays() {
    const int64_t Q = chunk_.length, stride = w_.padded_chunk;
    for (int64_t head = 0; head < l_.heads; ++head) {
      float *dt = w_.dt + head * stride, *decay = w_.decay + head * stride;
      float *since = w_.since + head * stride, *to_end = w_.to_end + head * stride;
      for (int64_t q = 0; q < Q; ++q) dt[q] = rows_[q * l_.row + l_.dt_at + head];
      for (int64_t q = Q; q < round_up(Q); ++q) dt[q] = 0.0f;
      for (int64_t q = 0; q < Q; q += kLanes) {
        const Vec step = softplus(load(dt + q) + d_.dt_bias[head]);
        store(dt + q, step);
        store(decay + q, step * d_.A[head]);
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

  const float* B() const { return w_.xbc + l_.inner; }
  const float* C() const { return w_.xbc + l_.inner + l_.padded_state; }

  void correlate() {
    const int64_t Q = chunk_.length, N = l_.padded_state, stride = w_.padded_chunk;
    transpose(B(), l_.channels, Q, N, w_.B_t, stride);
    for_rows(Q, [&]<int R>(int64_t i) {
      for_columns<R>(round_up(i + R), [&](auto tile, int64_t j) {
        tile.multiply_add(C() + i * l_.channels, l_.channels, w_.B_t + j, stride, N);
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
      store(M + diagonal, load(CB + diagonal) * fade + here * d_.D[head]);
      for (int64_t j = diagonal + kLanes; j < i0 + rows; j += kLanes) store(M + j, Vec{});
    }
  }

  void head_output(int64_t head) {
    const int64_t Q = chunk_.length, N = l_.padded_state, PP = l_.padded_head;
    const float* h = h_ + head * N * PP;
    const float* x = w_.xbc + head * PP;
    for (int64_t j = 0; j < Q; j += kLanes) store(w_.fade + j, Vec{});
    for_rows(Q, [&]<int R>(int64_t i) {
      weight_rows(head, i, R);
      for_columns<R>(PP, [&](auto tile, int64_t p) {
        if (chunk_.reads_state) {
          tile.multiply_add(C() + i * l_.channels, l_.channels, h + p, PP, N);
          tile.scale_rows(w_.since + head * w_.padded_chunk + i);
        }
        tile.multiply_add(w_.M, w_.padded_chunk, x + p, l_.channels, i + R);
        gate(tile, i, head * PP + p);
      });
    });
  }

  // y * SiLU(z) into the place of z, and its squares.
  template <int R, int C>
  void gate(const Tile<R, C>& y, int64_t q, int64_t column) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      float* z = rows_ + (q + r) * l_.row + column;
      Vec squares = load(w_.squares + (q + r) * kLanes);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        const Vec gated = y.sum[r][c] * silu(load(z + c * kLanes));
        store(z + c * kLanes, gated);
        squares += gated * gated;
      }
      store(w_.squares + (q + r) * kLanes, squares);
    }
  }

  void advance_state(int64_t head) {
    const int64_t Q = chunk_.length, N = l_.padded_state, PP = l_.padded_head;
    for (int64_t q = 0; q < Q; ++q)
      for (int64_t n = 0; n < N; n += kLanes)
        store(w_.B_end + q * N + n, load(B() + q * l_.channels + n) * w_.to_end[head * w_.padded_chunk + q]);
    float* h = h_ + head * N * PP;
    const float decay = w_.since[head * w_.padded_chunk + Q - 1];
    for_rows(N, [&]<int R>(int64_t n) {
      for_columns<R>(PP, [&](auto tile, int64_t p) {
        tile.template multiply_add<true>(w_.B_end + n, N, w_.xbc + head * PP + p, l_.channels, Q);
        tile.accumulate_to(h + n * PP + p, PP, decay);
      });
    });
  }

  const PairJob& job_;
  const PairLayout& l_;
  const PairDirection& d_;
  const ScanChunk& chunk_;
  const Workspace& w_;
  const int64_t sequence_;
  float* const rows_;
  float* const gate_scale_;
  float* const history_;
  float* const h_;
  const bool carried_;
};

}  // namespace bsm::BSM_CPU_LEVEL
