// The fused block of two mixers for a slice of sequences (see pair_job.h).
#pragma once

#include "nn/cpu/pair_scan.h"
#include "nn/cpu/pair_workspace.h"
#include "nn/cpu/product.h"

namespace bsm::BSM_CPU_LEVEL {

/// Calls body(row, position, element of the stream) for the elements of a step; position: where the element
/// stands in its sequence, counted over the sequences of the slice.
template <typename Body>
void for_elements(const PairJob& job, const PairStep& step, Body body) {
  for (int64_t s = 0; s < step.sequences; ++s) {
    const int64_t sequence = step.first_sequence + s;
    float* stream =
        job.stream + sequence / job.inner * job.stride_outer + sequence % job.inner * job.stride_inner;
    for (int64_t q = 0; q < step.chunk.length; ++q) {
      const int64_t walked = step.chunk.begin + q;
      const int64_t position = step.direction == 0 ? walked : job.length - 1 - walked;
      body(s * step.chunk.length + q, s * job.length + position, stream + position * job.stride_step);
    }
  }
}

inline void pair_project(const PairJob& job, const PairStep& step, float* scratch) {
  const FlushDenormals flush;
  const Workspace w(job, step.sequences, scratch);
  const PairLayout& l = job.layout;
  for_elements(job, step, [&](int64_t row, int64_t, const float* x) {
    Vec squares{};
    for (int64_t c = 0; c < l.dim; c += kLanes) {
      const Vec v = load_part(x + c, l.dim - c);
      squares += v * v;
    }
    const float rms = __builtin_sqrtf(sum(squares) / static_cast<float>(l.dim) + kNormEps);
    w.rms[row] = rms;
    for (int64_t c = 0; c < l.padded_dim; c += kLanes)
      store(w.normed + row * l.padded_dim + c,
            c < l.dim ? load_part(x + c, l.dim - c) * (1.0f / rms) : Vec{});
  });
  product(w.normed, l.padded_dim, step.sequences * step.chunk.length, l.padded_dim,
          job.direction[step.direction].in, step.direction == 0 ? l.row : l.residual_at, w.rows, l.row);
}

inline void pair_scan(const PairJob& job, const PairStep& step, float* scratch) {
  const FlushDenormals flush;
  const Workspace w(job, step.sequences, scratch);
  for (int64_t s = 0; s < step.sequences; ++s) ChunkScan(job, step, w, s).run();
}

inline void pair_merge(const PairJob& job, const PairStep& step, float* scratch) {
  const FlushDenormals flush;
  const Workspace w(job, step.sequences, scratch);
  const PairLayout& l = job.layout;
  product(w.rows, l.row, step.sequences * step.chunk.length, l.inner, job.direction[step.direction].out,
          l.padded_dim, w.normed, l.padded_dim);
  const bool first = step.direction == 0, last = step.direction == job.directions - 1;
  for_elements(job, step, [&](int64_t row, int64_t position, float* x) {
    const float* residual = w.rows + row * l.row + l.residual_at;
    for (int64_t c = 0; c < l.padded_dim; c += kLanes) {
      Vec change = load(w.normed + row * l.padded_dim + c) * w.gate_scale[row];
      if (first) change += load(residual + c) * w.rms[row] + load(job.bias + c);
      float* sum = w.sum + position * l.padded_dim + c;
      if (!last)
        store(sum, change);
      else if (c < l.dim)
        store_part(x + c, load_part(x + c, l.dim - c) + (first ? change : change + load(sum)), l.dim - c);
    }
  });
}

inline int64_t pair_scratch_floats(const PairJob& job, int64_t sequences) {
  return Workspace(job, sequences, nullptr).floats;
}

}  // namespace bsm::BSM_CPU_LEVEL
