// The fused mixer core on raw pointers: the seam between the LibTorch glue (mixer_cpu.cpp) and the vector
// kernels, which know nothing of LibTorch and are compiled once per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace bsm {

/// A run of consecutive elements that is computed in matrix form. The recurrence only crosses from one to the
/// next.
struct MixerChunk {
  int64_t begin = 0;          ///< first element, counted in the direction of the scan
  int64_t length = 0;         ///< elements, at least 1
  bool reads_state = false;   ///< false: the state before it is zero
  bool writes_state = false;  ///< false: nobody needs the state after it
};

/// One call of mixer_core() (shapes and letters: nn/mixer.h), for S = outer * inner sequences. All float32.
struct MixerJob {
  const float* input =
      nullptr;  ///< [outer, L, inner, E] with the strides below, in floats; last dimension contiguous
  int64_t stride_outer = 0, stride_step = 0, stride_inner = 0;
  float* output = nullptr;  ///< [outer, L, inner, d_inner] contiguous
  int64_t outer = 0, length = 0, inner = 0;
  int64_t d_inner = 0, state = 0, head_dim = 0, heads = 0, conv_width = 0;
  bool backward = false;  ///< walk every sequence from its last element to its first

  const float* conv_taps = nullptr;  ///< [conv_width, conv_channels]: transposed conv_weight
  const float* conv_bias = nullptr;
  const float* dt_bias = nullptr;
  const float* A = nullptr;  ///< [H], -exp(A_log)
  const float* D = nullptr;
  const float* norm_weight = nullptr;

  const float* conv_state_in = nullptr;  ///< [S, conv_width - 1, conv_channels], null: zeros
  const float* ssm_state_in = nullptr;   ///< [S, H, P, N], null: zeros
  float* conv_state_out = nullptr;       ///< null: not wanted
  float* ssm_state_out = nullptr;        ///< null: not wanted
  int64_t state_at = 0;                  ///< elements before the state that is written: the end of a chunk

  const MixerChunk* chunks = nullptr;  ///< in order, covering 0..length
  int64_t chunk_count = 0;
  int64_t longest_chunk = 0;

  int64_t conv_channels() const { return d_inner + 2 * state; }
};

/// Cuts `length` elements into chunks of the lowest estimated cost, with a boundary at state_at when the
/// state is wanted. Without a state before it, a sequence of up to some 200 elements is cheapest as one
/// chunk.
std::vector<MixerChunk> plan_chunks(int64_t length, int64_t d_inner, int64_t state, bool has_state,
                                    bool wants_state, int64_t state_at);

/// Instruction sets the kernels are compiled for, slowest first.
enum class CpuLevel { kGeneric, kAvx2, kAvx512 };

/// The kernels of one instruction set.
struct CpuKernels {
  CpuLevel level;
  const char* name;
  int64_t (*scratch_floats)(const MixerJob&);
  /// Computes one sequence; `scratch` is 64-byte aligned and holds scratch_floats().
  void (*run_sequence)(const MixerJob&, int64_t sequence, float* scratch);
  /// Elementwise, in place, for tests: relative error at most 4e-7 + 1.5e-8 |x| down to results of 1.2e-38.
  void (*exp)(float* values, int64_t count);
  void (*silu)(float* values, int64_t count);
  void (*softplus)(float* values, int64_t count);
};

/// What this build and this processor can run, slowest first; never empty.
const std::vector<CpuKernels>& available_cpu_kernels();

/// The kernels mixer_core_cpu() uses: the fastest available ones, or those of the forced level.
const CpuKernels& cpu_kernels();

/// For tests and benchmarks, process-wide: nullopt ends it. The level must be among available_cpu_kernels().
void force_cpu_level(std::optional<CpuLevel> level);

}  // namespace bsm
