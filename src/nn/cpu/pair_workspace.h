// The work memory of a slice of sequences.
#pragma once

#include "nn/cpu/pair_job.h"
#include "nn/cpu/simd.h"

namespace bsm::BSM_CPU_LEVEL {

/// Q: longest chunk, R: Q * sequences of the slice, row s * chunk.length + q for element q of sequence s.
struct Workspace {
  int64_t padded_chunk;
  float* normed;      // [R, padded_dim]: the stream after its norm; then what the out-projection gives
  float* rms;         // [R]: what the norm divided by
  float* rows;        // [R, layout.row]: projections; the gated scan takes the place of z
  float* gate_scale;  // [R]: factor of the norm after the gate
  float* sum;         // [sequences, L, padded_dim]: what the forward direction adds to the stream
  float* history;     // [sequences, conv_width - 1, channels]: inputs of the convolution before the chunk
  float* h;           // [sequences, H, padded_state, padded_head]: the state, transposed

  // Of one sequence at a time.
  float* xbc;      // [Q, channels] after the convolution
  float* B_t;      // [padded_state, padded Q]
  float* CB;       // [Q, padded Q]: C_i . B_j where j <= i
  float* B_end;    // [Q, padded_state]: B weighted for the state after the chunk, one head
  float* M;        // [kTileRows, padded Q], one head
  float* fade;     // [padded Q]: (a_{j+1}..a_i) dt_j of the current row i, one head
  float* dt;       // [H, padded Q], raw, then softplus
  float* decay;    // [H, padded Q]: a_t
  float* to_end;   // [H, padded Q]: (a_{t+1}..a_Q) dt_t
  float* since;    // [H, padded Q]: a_1..a_t
  float* squares;  // [Q, kLanes]: of the gated scan, summed lane by lane
  int64_t floats;

  Workspace(const PairJob& job, int64_t sequences, float* base) {
    const PairLayout& l = job.layout;
    const int64_t Q = job.longest_chunk, R = Q * sequences, H = l.heads;
    padded_chunk = round_up(Q);
    floats = 0;
    const auto take = [&](int64_t count) {
      float* at = base ? base + floats : nullptr;
      floats += (count + kPadding - 1) / kPadding * kPadding;
      return at;
    };
    normed = take(R * l.padded_dim);
    rms = take(R);
    rows = take(R * l.row);
    gate_scale = take(R);
    sum = take(job.directions > 1 ? sequences * job.length * l.padded_dim : 0);
    history = take(sequences * (l.conv_width - 1) * l.channels);
    h = take(sequences * H * l.padded_state * l.padded_head);
    xbc = take(Q * l.channels);
    B_t = take(l.padded_state * padded_chunk);
    CB = take(Q * padded_chunk);
    B_end = take(Q * l.padded_state);
    M = take(kTileRows * padded_chunk);
    fade = take(padded_chunk);
    dt = take(H * padded_chunk);
    decay = take(H * padded_chunk);
    to_end = take(H * padded_chunk);
    since = take(H * padded_chunk);
    squares = take(Q * kLanes);
  }
};

}  // namespace bsm::BSM_CPU_LEVEL
