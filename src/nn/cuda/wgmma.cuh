// Products by four warps at once, a "warpgroup", on the tensor cores of compute capability 9.0: they read
// their operands from shared memory themselves, without instructions or registers for it, and run while the
// warps do something else (PTX manual, "wgmma"). Files that include this are compiled for sm_90a alone.
// Operands are tiles (tiles.cuh). The accumulator [64, n] is spread over a warpgroup as those of its warps,
// 16 rows each, in mma.cuh.
#pragma once

#include "nn/cuda/tile_map.h"
#include "nn/cuda/tiles.cuh"

namespace bsm::kernels {

constexpr int kWarpgroup = 4 * kWarp;

#ifdef BSM_EMULATED

}  // namespace bsm::kernels
#include "emulated_groups.h"
namespace bsm::kernels {

#else

/// Four 8x8 matrices; lane i gives the address of row i % 8 of matrix i / 8.
__device__ inline void store_matrices(void* row, const uint32_t (&r)[4]) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(r[0]),
               "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
}

/// What was written to shared memory by instructions becomes visible to the products; a barrier has to follow
/// where other threads wrote it.
__device__ inline void fence_for_products() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
/// Before the first product, and after registers that one reads or adds to were changed.
__device__ inline void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// Ends a group of products.
__device__ inline void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits for all groups but the N that ended last, after which `tiles` may be read.
template <int N, int Tiles>
__device__ inline void products_wait(Tile (&tiles)[Tiles]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
#pragma unroll
  for (int i = 0; i < Tiles; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) asm volatile("" : "+f"(tiles[i].r[j])::"memory");
}

/// A matrix of 16-bit elements in global memory, row by row, as copies of tiles see it: what lies outside of
/// it reads as zero and is not written. A kernel takes it as a __grid_constant__ argument.
class TileMap {
 public:
  /// @param rows, columns  of the matrix; data and rows are 16-byte aligned
  /// @param tile_rows      of a copy, at most 256, of kTileColumns columns each
  cudaError_t init(const void* data, int64_t rows, int64_t columns, int tile_rows) {
    return encode_tile_map(map_, data, rows, columns, tile_rows);
  }

  /// One thread copies a tile there; it has been read when tile_stores_wait() returns.
  __device__ void store(const void* from_shared, int row, int column) const {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(&map_),
                 "r"(column), "r"(row), "r"(static_cast<uint32_t>(__cvta_generic_to_shared(from_shared)))
                 : "memory");
  }
  __device__ const CUtensorMap* address() const { return &map_; }

 private:
  CUtensorMap map_;
};
__device__ inline void tile_stores_wait() {
  asm volatile("cp.async.bulk.commit_group;\ncp.async.bulk.wait_group.read 0;" ::: "memory");
}

/// Counts arrivals of threads and of copies, which one thread starts for all, in shared memory. A round ends
/// when `threads` have arrived and all bytes that they expected; wait() for rounds 0, 1, 2, ... each at most
/// one behind.
class ArrivalBarrier {
 public:
  __device__ void init(int threads = 1) {
    asm volatile(
        "mbarrier.init.shared::cta.b64 [%0], %1;\nfence.mbarrier_init.release.cluster;" ::"r"(address()),
        "r"(threads)
        : "memory");
  }
  __device__ void arrive() {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address()) : "memory");
  }
  /// Arrives as well.
  __device__ void expect(int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address()), "r"(bytes)
                 : "memory");
  }
  /// A piece of a multiple of 16 bytes.
  __device__ void copy(void* to_shared, const void* from, int bytes) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
            static_cast<uint32_t>(__cvta_generic_to_shared(to_shared))),
        "l"(from), "r"(bytes), "r"(address())
        : "memory");
  }
  __device__ void copy_tile(void* to_shared, const TileMap& from, int row, int column) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
        "[%4];" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to_shared))),
        "l"(from.address()), "r"(column), "r"(row), "r"(address())
        : "memory");
  }
  __device__ void wait(int round) {
    uint32_t done;
    do {
      asm volatile(
          "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
          : "=r"(done)
          : "r"(address()), "r"(round & 1)
          : "memory");
    } while (done == 0);
  }

 private:
  __device__ uint32_t address() { return static_cast<uint32_t>(__cvta_generic_to_shared(&bits_)); }
  uint64_t bits_;
};

/// Starts to bring what is in one piece to the second-level cache; both 16-byte aligned.
__device__ inline void prefetch(const void* from, int bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
}
/// Barrier of the `threads` of one warpgroup or more.
__device__ inline void group_barrier(int number, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(number + 1), "r"(threads) : "memory");
}

/// An operand in shared memory as the instructions find it: its start, 1024 bytes from eight rows of a tile
/// to the next eight, 128-byte swizzle.
template <typename T>
struct GroupOperand {
  uint64_t descriptor;

  explicit __device__ GroupOperand(const T* tile) {
    const uint64_t address = __cvta_generic_to_shared(tile);
    descriptor = (address & 0x3ffff) >> 4 | uint64_t{1} << 16 | uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
  }
  /// That starts `elements` later: whole tiles, multiples of eight rows, and of 16 columns.
  __device__ GroupOperand operator+(int elements) const {
    GroupOperand moved = *this;
    moved.descriptor += static_cast<uint64_t>(elements * static_cast<int>(sizeof(T)) / 16);
    return moved;
  }
};

// clang-format off
/// The registers of tiles of the accumulator `d` from the i-th on, as operands.
#define BSM_SUMS_1(i) "+f"(d[i].r[0]), "+f"(d[i].r[1]), "+f"(d[i].r[2]), "+f"(d[i].r[3])
#define BSM_SUMS_2(i) BSM_SUMS_1(i), BSM_SUMS_1((i) + 1)
#define BSM_SUMS_4(i) BSM_SUMS_2(i), BSM_SUMS_2((i) + 2)
#define BSM_SUMS_8(i) BSM_SUMS_4(i), BSM_SUMS_4((i) + 4)
#define BSM_SUMS_16(i) BSM_SUMS_8(i), BSM_SUMS_8((i) + 8)
#define BSM_SUMS_32(i) BSM_SUMS_16(i), BSM_SUMS_16((i) + 16)

#define BSM_WGMMA_64_REGISTERS(type)                                                               \
  asm volatile(                                                                                    \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " {"                             \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "      \
      "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31 "                           \
      "}, {%32, %33, %34, %35}, %36, 1, 1, 1, %37;"                                                \
      : BSM_SUMS_8(0)                                                                              \
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b.descriptor), "n"(ByRows))

#define BSM_WGMMA_64(type)                                                                         \
  asm volatile(                                                                                    \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " {"                             \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "      \
      "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31 "                           \
      "}, %32, %33, 1, 1, 1, 0, 0;"                                                                \
      : BSM_SUMS_8(0)                                                                              \
      : "l"(a.descriptor), "l"(b.descriptor))

#define BSM_WGMMA_128(type)                                                                        \
  asm volatile(                                                                                    \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {"                            \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "      \
      "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, "      \
      "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, "      \
      "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63 "                                     \
      "}, %64, %65, 1, 1, 1, 0, 0;"                                                                \
      : BSM_SUMS_16(0)                                                                             \
      : "l"(a.descriptor), "l"(b.descriptor))

#define BSM_WGMMA_256(type)                                                                        \
  asm volatile(                                                                                    \
      "wgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type " {"                            \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "      \
      "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, "      \
      "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, "      \
      "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, "      \
      "%70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, "      \
      "%87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, %103, "  \
      "%104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, "       \
      "%118, %119, %120, %121, %122, %123, %124, %125, %126, %127 "                                \
      "}, %128, %129, 1, 1, 1, 0, 0;"                                                              \
      : BSM_SUMS_32(0)                                                                             \
      : "l"(a.descriptor), "l"(b.descriptor))
// clang-format on

/// d [64, 64] += A [64, 16] B [16, 64], A in each warp's registers.
/// @tparam ByRows  whether element (k, n) of B is in row k of its tile, or in row n
template <bool ByRows, typename T>
__device__ inline void multiply_group(Tile (&d)[8], const FragmentA<T>& a, GroupOperand<T> b) {
  if constexpr (std::is_same_v<T, Float16>) {
    BSM_WGMMA_64_REGISTERS("f16");
  } else {
    BSM_WGMMA_64_REGISTERS("bf16");
  }
}

/// d [64, n] += A [64, 16] B [16, n], rows of m and of n; n = 64, 128 or 256.
template <int Tiles, typename T>
__device__ inline void multiply_group(Tile (&d)[Tiles], GroupOperand<T> a, GroupOperand<T> b) {
  static_assert(Tiles == 8 || Tiles == 16 || Tiles == 32);
  if constexpr (Tiles == 8) {
    if constexpr (std::is_same_v<T, Float16>) {
      BSM_WGMMA_64("f16");
    } else {
      BSM_WGMMA_64("bf16");
    }
  } else if constexpr (Tiles == 16) {
    if constexpr (std::is_same_v<T, Float16>) {
      BSM_WGMMA_128("f16");
    } else {
      BSM_WGMMA_128("bf16");
    }
  } else {
    if constexpr (std::is_same_v<T, Float16>) {
      BSM_WGMMA_256("f16");
    } else {
      BSM_WGMMA_256("bf16");
    }
  }
}
#undef BSM_WGMMA_64_REGISTERS
#undef BSM_WGMMA_64
#undef BSM_WGMMA_128
#undef BSM_WGMMA_256
#undef BSM_SUMS_1
#undef BSM_SUMS_2
#undef BSM_SUMS_4
#undef BSM_SUMS_8
#undef BSM_SUMS_16
#undef BSM_SUMS_32

/// Whether the current device runs `kernel`, which is compiled for compute capability 9.0 alone.
inline bool runs_here(const void* kernel) {
  cudaFuncAttributes attributes;
  const bool runs = cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess;
  if (!runs) cudaGetLastError();  // an answer, not an error
  return runs;
}

#endif

/// Access to a tile as PaddedLayout in pair.cuh. For load_a() and store_a(), row and column are multiples
/// of 16.
template <typename T>
struct TileLayout {
  static __device__ int at(int row, unsigned column) {  // rows of a halo are negative
    return static_cast<int>(tile_at(row, column / 8) + column % 8);
  }
  static __device__ int later(int place, int rows) { return (place ^ (rows & 7) * 8) + rows * kTileColumns; }
  template <bool ByRows>
  static __device__ FragmentA<T> load_a(const T* tile, unsigned row, unsigned column, unsigned lane) {
    const unsigned within = lane % 8, one = lane / 8 % 2, two = lane / 16;
    FragmentA<T> a;
    if constexpr (ByRows) {
      load_matrices<false>(a.r, tile + (tile_at(row + within + 8 * one, two) ^ column));
    } else {
      load_matrices<true>(a.r, tile + tile_at(row + within + 8 * two, column / 8 + one));
    }
    return a;
  }
  static __device__ void store_a(T* tile, unsigned row, unsigned column, const FragmentA<T>& a,
                                 unsigned lane) {
    const unsigned within = lane % 8, one = lane / 8 % 2, two = lane / 16;
    store_matrices(tile + (tile_at(row + within + 8 * one, two) ^ column), a.r);
  }
};

}  // namespace bsm::kernels
