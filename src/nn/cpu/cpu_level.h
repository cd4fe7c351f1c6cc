// The vector kernels of the CPU, compiled once per instruction set and chosen once, at run time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "nn/cpu/band_job.h"
#include "nn/cpu/pair_job.h"

namespace bsm {

/// Instruction sets the kernels are compiled for, slowest first.
enum class CpuLevel { kGeneric, kAvx2, kAvx512 };

/// The kernels of one instruction set.
struct CpuKernels {
  CpuLevel level;
  const char* name;

  /// Brings a matrix [rows, columns] into the order in which product() reads it, of the same size. `columns`
  /// is a multiple of kPadding. Matrices packed for one level are nothing to another.
  void (*pack)(const float* matrix, int64_t rows, int64_t columns, float* packed);

  // A block of two mixers, slice by slice (pair_kernel.h). `scratch` is 64-byte aligned and holds
  // pair_scratch_floats(); it carries values from step to step.
  int64_t (*pair_scratch_floats)(const PairJob&, int64_t sequences);
  /// Norm and in-projection of a chunk of each sequence.
  void (*pair_project)(const PairJob&, const PairStep&, float* scratch);
  /// Convolution, scan, gate.
  void (*pair_scan)(const PairJob&, const PairStep&, float* scratch);
  /// Norm after the gate, out-projection and, after the last direction, the new stream.
  void (*pair_merge)(const PairJob&, const PairStep&, float* scratch);

  // Rows of one band (band_kernel.h): what lies in front of the blocks, and what follows them.
  void (*band_features)(const BandFeatures&, const BandRows&, float* scratch);
  void (*band_masks)(const BandMasks&, const BandRows&, float* scratch);

  /// Elementwise, in place, for tests: relative error at most 4e-7 + 1.5e-8 |x| down to results of 1.2e-38.
  void (*exp)(float* values, int64_t count);
  void (*silu)(float* values, int64_t count);
  void (*softplus)(float* values, int64_t count);
};

/// What this build and this processor can run, slowest first; never empty.
const std::vector<CpuKernels>& available_cpu_kernels();

/// The kernels for which weights are prepared: the fastest available ones, or those of the forced level.
const CpuKernels& cpu_kernels();

/// For tests and benchmarks, process-wide: nullopt ends it. The level must be among available_cpu_kernels().
void force_cpu_level(std::optional<CpuLevel> level);

}  // namespace bsm
