// What the machine can do at best: the rate of a large matrix product and of copying memory.
#pragma once

#include <c10/core/ScalarType.h>

#include "bench/device.h"

namespace bsm {

struct Ceilings {
  double product_flop_per_s = 0;
  int product_size = 0;         ///< of the square matrices of the fastest product
  double copy_bytes_per_s = 0;  ///< read and written bytes, in memory far larger than the caches
};

/// Measured through LibTorch, as the network would, with the present number of threads: best of several runs.
Ceilings measure_ceilings(const BenchDevice& device, c10::ScalarType dtype);

}  // namespace bsm
