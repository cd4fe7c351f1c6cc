// Weights in the order that the CPU kernels read.
#pragma once

#include <torch/types.h>

#include "nn/cpu/cpu_level.h"

namespace bsm {

inline int64_t padded(int64_t n) { return (n + kPadding - 1) / kPadding * kPadding; }

/// Zeros behind the last dimension, up to `width`.
inline torch::Tensor pad(const torch::Tensor& t, int64_t width) {
  return at::constant_pad_nd(t, {0, width - t.size(-1)});
}

/// @param matrix [rows, columns] float32 on the CPU, columns a multiple of kPadding
inline torch::Tensor pack(const torch::Tensor& matrix, const CpuKernels& kernels) {
  const torch::Tensor dense = matrix.contiguous();
  const torch::Tensor packed = at::empty_like(dense);
  kernels.pack(dense.data_ptr<float>(), dense.size(0), dense.size(1), packed.data_ptr<float>());
  return packed;
}

}  // namespace bsm
