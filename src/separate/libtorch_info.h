// Which libraries LibTorch really computes with, seen from inside the process.
#pragma once

#include <string>

namespace bsm {

/// The library that serves LibTorch's matrix products on the CPU.
struct BlasLibrary {
  std::string name;      ///< "OpenBLAS", "MKL", "BLIS", "ATLAS", "reference BLAS", "unknown BLAS"
  std::string path;      ///< real path of the file, empty when unknown
  bool generic = false;  ///< the reference implementation, one loop per operation
  void (*set_num_threads)(int threads) = nullptr;  ///< null where LibTorch's own setting is enough
};

/// Looked up once.
const BlasLibrary& blas_library();

}  // namespace bsm
