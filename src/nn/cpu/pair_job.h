// One call of the fused block of two mixers on raw pointers (what is computed: nn/pair_weights.h): the seam
// between the LibTorch glue (pair_cpu.cpp) and the vector kernels (pair_kernel.h), which know nothing of
// LibTorch.
//
// Every row that the kernels keep is padded with zeros to whole vectors, and so are the weights: a padded
// channel stays zero from the projection to the product that ends it, so that only the stream and the carried
// state are read and written at their true widths.
#pragma once

#include <cstdint>

#include "nn/cpu/chunk_plan.h"
#include "nn/cpu/padding.h"

namespace bsm {

struct PairLayout {
  int64_t dim = 0, heads = 0, head_dim = 0, state = 0, conv_width = 0;  ///< true sizes: D, H, P, N
  int64_t padded_dim = 0, padded_head = 0, padded_state = 0;
  int64_t inner = 0;     ///< H * padded_head
  int64_t channels = 0;  ///< of the convolution: [x | B | C]

  // A row of projections: [z: inner | x | B | C | dt: H, padded | residual: padded_dim]; the backward
  // direction has no residual.
  int64_t dt_at = 0;
  int64_t residual_at = 0;
  int64_t row = 0;
};

/// The weights of one mixer.
struct PairDirection {
  const float* in = nullptr;         ///< packed [padded_dim, row], backwards [padded_dim, residual_at]
  const float* out = nullptr;        ///< packed [inner, padded_dim], the norm's factors multiplied in
  const float* taps = nullptr;       ///< [conv_width, channels]
  const float* conv_bias = nullptr;  ///< [channels]
  const float* dt_bias = nullptr;    ///< [H]
  const float* A = nullptr;          ///< [H], -exp(A_log)
  const float* D = nullptr;          ///< [H]
};

struct PairJob {
  PairLayout layout;
  PairDirection direction[2];  ///< forwards, backwards
  int directions = 0;
  const float* bias = nullptr;  ///< [padded_dim]

  /// The residual stream, computed in place: sequence o * inner + i has element t at o * stride_outer +
  /// t * stride_step + i * stride_inner, D values.
  float* stream = nullptr;
  int64_t stride_outer = 0, stride_step = 0, stride_inner = 0;
  int64_t inner = 0, length = 0;
  int64_t longest_chunk = 0;

  // Of the forward direction. The states before and after may be the same memory.
  const float* conv_state_in = nullptr;  ///< [S, conv_width - 1, d_inner + 2 N], null: zeros
  const float* ssm_state_in = nullptr;   ///< [S, H, P, N], null: zeros
  float* conv_state_out = nullptr;       ///< null: not wanted
  float* ssm_state_out = nullptr;        ///< null: not wanted
  int64_t state_at = 0;                  ///< elements before the state that is written: the end of a chunk
};

/// A chunk of some neighbouring sequences in one direction. The steps of a slice of sequences follow each
/// other: all chunks forwards, then all chunks backwards.
struct PairStep {
  int64_t first_sequence = 0, sequences = 0;
  int direction = 0;
  ScanChunk chunk;
};

}  // namespace bsm
