#include "nn/cuda/tile_map.h"

#include "nn/cuda/tiles.cuh"

namespace bsm::kernels {

namespace {

using Encode = decltype(cuTensorMapEncodeTiled)*;

/// Of the driver that runs: this library doesn't link it. Null where it is too old to have one.
Encode find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
#if CUDART_VERSION >= 12050
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found);
#else
  const cudaError_t error =
      cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault, &found);
#endif
  const bool succeeded = error == cudaSuccess && found == cudaDriverEntryPointSuccess;
  return succeeded ? reinterpret_cast<Encode>(function) : nullptr;
}

}  // namespace

cudaError_t encode_tile_map(CUtensorMap& map, const void* data, int64_t rows, int64_t columns,
                            int tile_rows) {
  static const Encode encode = find_encode();
  if (encode == nullptr) return cudaErrorNotSupported;
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)},
                   row_bytes[] = {static_cast<cuuint64_t>(columns) * 2};
  const cuuint32_t tile[] = {kTileColumns, static_cast<cuuint32_t>(tile_rows)}, every[] = {1, 1};
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 2, const_cast<void*>(data), sizes, row_bytes, tile, every,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace bsm::kernels
