// Tiles that the products of compute capability 9.0 (wgmma.cuh) read from shared memory: rows of 64 16-bit
// elements, whose 16-byte pieces are permuted by the row, so that eight rows or eight pieces of a row lie in
// different banks ("128-byte swizzle" in the PTX manual). They lie in global memory the same way.
#pragma once

#include "nn/cuda/mma.cuh"

namespace bsm::kernels {

constexpr int kTileColumns = 64;
constexpr int kTileAlignment = 1024;  ///< bytes

/// Element of a tile at which piece `piece` (eight columns) of a row starts.
__host__ __device__ inline unsigned tile_at(unsigned row, unsigned piece) {
  return row * kTileColumns + (piece ^ (row & 7)) * 8;
}

}  // namespace bsm::kernels
