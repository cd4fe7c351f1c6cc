// Descriptors of matrices whose tiles compute capability 9.0 copies by itself ("tensor maps" in the CUDA
// driver's manual).
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace bsm::kernels {

/// @param rows, columns  of a matrix of 16-bit elements; its address and rows are 16-byte aligned
/// @param tile_rows      of a copy of 64 columns, in shared memory as tiles.cuh says
/// @returns cudaErrorInvalidValue where the driver refuses it
cudaError_t encode_tile_map(CUtensorMap& map, const void* data, int64_t rows, int64_t columns, int tile_rows);

}  // namespace bsm::kernels
