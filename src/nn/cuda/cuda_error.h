// What the CUDA runtime answers to our own calls, as the project's error.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "core/error.h"

namespace bsm {

/// @param doing completes "The GPU failed or went away while ..."
/// @throws Error(kOutOfMemory) or Error(kDevice), as failures of LibTorch's calls end (see rethrow_translated):
/// a launch, too, may be the first to report that an earlier kernel failed or that the GPU is gone
[[noreturn]] inline void throw_cuda_error(cudaError_t error, const std::string& doing) {
  if (error == cudaErrorMemoryAllocation)
    throw Error(ErrorCode::kOutOfMemory,
                "The memory of the GPU ran out while " + doing +
                    ". Use a smaller model or shorter windows, or the device cpu.");
  throw Error(ErrorCode::kDevice, "The GPU failed or went away while " + doing + " (" +
                                      cudaGetErrorString(error) +
                                      "). Start the program again, with the device cpu if the GPU keeps "
                                      "failing; nvidia-smi tells how it is.");
}

}  // namespace bsm
