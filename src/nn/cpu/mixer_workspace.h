// The work memory of one sequence's scan.
#pragma once

#include "nn/cpu/mixer_kernel.h"
#include "nn/cpu/simd.h"

namespace bsm::BSM_CPU_LEVEL {

// Where a sequence's values of one chunk lie. P and d_inner are padded to whole vectors, head by head.
struct Workspace {
  int64_t padded_head, padded_inner, padded_chunk;
  float* x;       // [Q, H * padded_head] after convolution
  float* y;       // the same, before the gate
  float* B;       // [Q, N]
  float* C;       // [Q, N]
  float* B_t;     // [N, padded Q]
  float* CB;      // [Q, padded Q]: C_i . B_j where j <= i
  float* B_end;   // [Q, N]: B weighted for the state after the chunk, one head
  float* M;       // [kTileRows, padded Q], one head
  float* fade;    // [padded Q]: (a_{j+1}..a_i) dt_j of the current row i, one head
  float* dt;      // [H, padded Q], raw, then softplus
  float* decay;   // [H, padded Q]: a_t
  float* to_end;  // [H, padded Q]: (a_{t+1}..a_Q) dt_t
  float* since;   // [H, padded Q]: a_1..a_t
  float* h;       // [H, N, padded P]
  float* zeros;   // [conv channels]: the elements before the first
  int64_t floats;

  Workspace(const MixerJob& job, float* base) {
    const int64_t Q = job.longest_chunk, N = job.state, H = job.heads;
    padded_head = round_up(job.head_dim);
    padded_inner = H * padded_head;
    padded_chunk = round_up(Q);
    floats = 0;
    const auto take = [&](int64_t count) {
      float* at = base ? base + floats : nullptr;
      floats += (count + 15) / 16 * 16;
      return at;
    };
    x = take(Q * padded_inner);
    y = take(Q * padded_inner);
    B = take(Q * N);
    C = take(Q * N);
    B_t = take(N * padded_chunk);
    CB = take(Q * padded_chunk);
    B_end = take(Q * N);
    M = take(kTileRows * padded_chunk);
    fade = take(padded_chunk);
    dt = take(H * padded_chunk);
    decay = take(H * padded_chunk);
    to_end = take(H * padded_chunk);
    since = take(H * padded_chunk);
    h = take(H * N * padded_head);
    zeros = take(job.conv_channels());
  }
};

}  // namespace bsm::BSM_CPU_LEVEL
