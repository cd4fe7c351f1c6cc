// Products of small matrices by one warp on the tensor cores, accumulated in float32.
//
// Fragments of A [16, 16] (m, k) and B [16, 8] (k, n), and the accumulator [16, 8] (m, n), are spread over
// the warp as the mma.m16n8k16 instruction wants them. With g = lane / 4 and c = 2 * (lane % 4), a lane holds
//   A  (g, c) (g, c+1) (g+8, c) (g+8, c+1)  and the same at k + 8
//   B  (c, g) (c+1, g)                      and the same at k + 8
//   acc (g, c) (g, c+1) (g+8, c) (g+8, c+1)
// so two neighbouring accumulators are an A fragment without moving data between lanes. float32 uses the same
// spread: there are two m16n8k8 products of TF32 whose k runs in the order 0 2 4 6 1 3 5 7, the same for A
// and B. TF32 keeps 11 bits; each factor is split in two, and three products make up what float32 would give.
// Where that is more than is asked for, the type Tf32 has one product, of factors rounded by as_factor() once
// and for all.
#pragma once

#include "nn/cuda/device.cuh"

namespace bsm::kernels {

template <typename T>
struct FragmentA {
  uint32_t r[4];  // pairs of elements
};
template <>
struct FragmentA<float> {
  float r[8];
};

template <>
struct FragmentA<Tf32> : FragmentA<float> {};

template <typename T>
struct FragmentB {
  uint32_t r[2];
};
template <>
struct FragmentB<float> {
  float r[4];
};
template <>
struct FragmentB<Tf32> : FragmentB<float> {};

/// One [16, 8] block of results.
struct Tile {
  float r[4] = {0, 0, 0, 0};
};

__device__ inline int lane_id() { return static_cast<int>(threadIdx.x) % kWarp; }
/// First row and first column of a lane's share of a tile (the other row is 8 below, the other column next).
__device__ inline int tile_row() { return lane_id() / 4; }
__device__ inline int tile_column() { return 2 * (lane_id() % 4); }

template <typename T>
__device__ inline uint32_t pack_pair(float low, float high) {
  union {
    T v[2];
    uint32_t word;
  } pair = {{from_float<T>(low), from_float<T>(high)}};
  return pair.word;
}

template <typename T>
__device__ inline float2 unpack_pair(uint32_t word) {
  if constexpr (std::is_same_v<T, Bfloat16>) {  // the upper half of a float
    return {__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u)};
  } else {
    union {
      uint32_t word;
      T v[2];
    } pair = {word};
    return {to_float(pair.v[0]), to_float(pair.v[1])};
  }
}

/// A from eight values in the order of the list above.
template <typename T>
__device__ inline FragmentA<T> make_a(const float (&v)[8]) {
  FragmentA<T> a;
  if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < 8; ++i) a.r[i] = v[i];
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) a.r[i] = pack_pair<T>(v[2 * i], v[2 * i + 1]);
  }
  return a;
}

/// Both elements of a pair times those of another, rounded to T.
template <typename T>
__device__ inline uint32_t multiply_pair(uint32_t a, uint32_t b) {
  using Two = std::conditional_t<std::is_same_v<T, Float16>, __half2, __nv_bfloat162>;
  union Word {
    uint32_t word;
    Two two;
    __device__ Word(uint32_t bits) : word(bits) {}
  };
  Word product(0);
  product.two = __hmul2(Word(a).two, Word(b).two);
  return product.word;
}
template <typename T>
__device__ inline uint32_t load_word(const T* pair) {
  return *reinterpret_cast<const uint32_t*>(pair);
}

/// Multiplies column k of A by factor[k], a shared-memory array of 16-bit numbers.
template <typename T>
__device__ inline void scale_columns_packed(FragmentA<T>& a, const T* factor, unsigned lane = lane_id()) {
  const unsigned c = 2 * (lane % 4);
  const uint32_t low = load_word(factor + c), high = load_word(factor + c + 8);
#pragma unroll
  for (int i = 0; i < 4; ++i) a.r[i] = multiply_pair<T>(a.r[i], i < 2 ? low : high);
}

/// Multiplies column k of A by factor[k], a shared-memory array.
template <typename T>
__device__ inline void scale_columns(FragmentA<T>& a, const float* factor) {
  const int c = tile_column();
  const float f[4] = {factor[c], factor[c + 1], factor[c + 8], factor[c + 9]};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float f0 = f[i < 2 ? 0 : 2], f1 = f[i < 2 ? 1 : 3];
    if constexpr (sizeof(T) == 4) {
      a.r[2 * i] *= f0;
      a.r[2 * i + 1] *= f1;
    } else {
      const float2 pair = unpack_pair<T>(a.r[i]);
      a.r[i] = pack_pair<T>(pair.x * f0, pair.y * f1);
    }
  }
}

#ifndef BSM_EMULATED

/// Four 8x8 matrices of 16-bit elements; lane i gives the address of row i % 8 of matrix i / 8.
template <bool Transposed>
__device__ inline void load_matrices(uint32_t (&r)[4], const void* row) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  }
}

__device__ inline void mma_tf32(Tile& d, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <typename T>
__device__ inline void mma_16bit(Tile& d, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (std::is_same_v<T, Float16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

#endif

/// Rounds to the 11 bits of TF32. (The instruction for that takes three; it looks after infinity and NaN
/// besides.)
__device__ inline uint32_t to_tf32(float x) { return (__float_as_uint(x) + 0x1000u) & ~0x1fffu; }

/// A factor of products in float32 (T: float) or TF32 (T: Tf32), where the multiplication itself ignores the
/// last 13 bits: half of what they can hold, added once, makes it round to nearest.
template <typename T>
__device__ inline float as_factor(float x) {
  return std::is_same_v<T, Tf32> ? __uint_as_float(__float_as_uint(x) + 0x1000u) : x;
}

/// d += A B
template <typename T>
__device__ inline void multiply_add(Tile& d, const FragmentA<T>& a, const FragmentB<T>& b) {
  if constexpr (sizeof(T) == 2) {
    mma_16bit<T>(d, a.r, b.r);
  } else {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float* va = a.r + 4 * half;
      const float* vb = b.r + 2 * half;
      const float fa[4] = {va[0], va[2], va[1], va[3]}, fb[2] = {vb[0], vb[1]};
      uint32_t a_high[4], b_high[2];
      if constexpr (std::is_same_v<T, Tf32>) {
#pragma unroll
        for (int i = 0; i < 4; ++i) a_high[i] = __float_as_uint(fa[i]);
#pragma unroll
        for (int i = 0; i < 2; ++i) b_high[i] = __float_as_uint(fb[i]);
      } else {
        uint32_t a_low[4], b_low[2];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          a_high[i] = to_tf32(fa[i]);
          a_low[i] = __float_as_uint(fa[i] - __uint_as_float(a_high[i]));
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          b_high[i] = to_tf32(fb[i]);
          b_low[i] = __float_as_uint(fb[i] - __uint_as_float(b_high[i]));
        }
        mma_tf32(d, a_low, b_high);
        mma_tf32(d, a_high, b_low);
      }
      mma_tf32(d, a_high, b_high);
    }
  }
}

/// A whose element (m, k) is at p[m * stride + k] (ByRows) or at p[k * stride + m].
template <bool ByRows, typename T>
__device__ inline FragmentA<T> load_a(const T* p, int stride) {
  FragmentA<T> a;
  if constexpr (sizeof(T) == 4) {
    const int g = tile_row(), c = tile_column();
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int m = g + (i & 2 ? 8 : 0), k = c + (i & 1) + (i & 4 ? 8 : 0);
      a.r[i] = to_float(ByRows ? p[m * stride + k] : p[k * stride + m]);
    }
  } else {
    const int row = lane_id() % 8, one = 8 * ((lane_id() / 8) % 2), two = 8 * (lane_id() / 16);
    if constexpr (ByRows) {
      load_matrices<false>(a.r, p + (row + one) * stride + two);
    } else {
      load_matrices<true>(a.r, p + (row + two) * stride + one);
    }
  }
  return a;
}

/// Writes A where load_a<true>() would read it.
template <typename T>
__device__ inline void store_a(T* p, int stride, const FragmentA<T>& a) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  const int row = lane_id() % 8, one = 8 * ((lane_id() / 8) % 2), two = 8 * (lane_id() / 16);
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(p + (row + one) * stride + two));
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(a.r[0]),
               "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3])
               : "memory");
#else
#pragma unroll
  for (int i = 0; i < 4; ++i)
    *reinterpret_cast<uint32_t*>(p + (tile_row() + (i & 1 ? 8 : 0)) * stride + tile_column() +
                                 (i & 2 ? 8 : 0)) = a.r[i];
#endif
}

/// Two neighbouring B (columns n and n + 8) whose element (k, n) is at p[n * stride + k] (ByColumns) or at
/// p[k * stride + n].
template <bool ByColumns, typename T>
__device__ inline void load_b_pair(FragmentB<T> (&b)[2], const T* p, int stride) {
  if constexpr (sizeof(T) == 4) {
    const int g = tile_row(), c = tile_column();
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int n = g + 8 * j, k = c + (i & 1) + (i & 2 ? 8 : 0);
        b[j].r[i] = to_float(ByColumns ? p[n * stride + k] : p[k * stride + n]);
      }
    }
  } else {
    const int row = lane_id() % 8, one = 8 * ((lane_id() / 8) % 2), two = 8 * (lane_id() / 16);
    uint32_t r[4];
    if constexpr (ByColumns) {
      load_matrices<false>(r, p + (row + two) * stride + one);
    } else {
      load_matrices<true>(r, p + (row + one) * stride + two);
    }
    b[0].r[0] = r[0];
    b[0].r[1] = r[1];
    b[1].r[0] = r[2];
    b[1].r[1] = r[3];
  }
}

/// tiles [16, 8 * Tiles] += A [16, 16] * B [16, 8 * Tiles], B in shared memory as in load_b_pair().
template <bool ByColumns, int Tiles, typename T>
__device__ inline void multiply_add_row(Tile (&tiles)[Tiles], const FragmentA<T>& a, const T* b, int stride) {
  static_assert(Tiles % 2 == 0);
  FragmentB<T> pair[2][2];  // one is loaded while the other is multiplied
  load_b_pair<ByColumns>(pair[0], b, stride);
#pragma unroll
  for (int j = 0; j < Tiles; j += 2) {
    const int at = j / 2 % 2;
    if (j + 2 < Tiles)
      load_b_pair<ByColumns>(pair[1 - at], b + (ByColumns ? 8 * (j + 2) * stride : 8 * (j + 2)), stride);
    multiply_add(tiles[j], a, pair[at][0]);
    multiply_add(tiles[j + 1], a, pair[at][1]);
  }
}

/// Calls at(half, column, value0, value1) for a lane's pairs in a row of tiles: row tile_row() + 8 * half,
/// columns `column` and `column + 1`. The values may be changed.
template <int Tiles, typename Body>
__device__ inline void for_each_pair(Tile (&tiles)[Tiles], Body at) {
#pragma unroll
  for (int j = 0; j < Tiles; ++j) {
    at(0, 8 * j + tile_column(), tiles[j].r[0], tiles[j].r[1]);
    at(1, 8 * j + tile_column(), tiles[j].r[2], tiles[j].r[3]);
  }
}

/// Two neighbours in memory; 4-byte (16-bit types) or 8-byte aligned.
template <typename T>
__device__ inline float2 load_pair(const T* p) {
  const Pack<T, 2> pair = load_pack<2>(p);
  return {to_float(pair.v[0]), to_float(pair.v[1])};
}
template <typename T>
__device__ inline void store_pair(T* p, float v0, float v1) {
  store_pack<2>(p, {v0, v1});
}

}  // namespace bsm::kernels
