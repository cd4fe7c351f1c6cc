// One vector of floats as wide as the instruction set this file is compiled for, and the functions a mixer
// needs on it.
//
// GCC's vector extension (also in clang) instead of intrinsics: one source for every width. Everything lives
// in a namespace named after the instruction set, and no header of the standard library with inline functions
// is included: the linker keeps one copy of an inline function, and must not keep one that only newer
// processors can run.
#pragma once

#include <cstdint>
#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace bsm::BSM_CPU_LEVEL {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kTileRows = 6, kTileVectors = 4;  // 24 accumulators of 32 registers
#elif defined(__AVX2__)
constexpr int kLanes = 8;
constexpr int kTileRows = 6, kTileVectors = 2;  // 12 accumulators of 16 registers
#else
constexpr int kLanes = 4;
constexpr int kTileRows = 4, kTileVectors = 2;
#endif

typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef int32_t IntVec __attribute__((vector_size(4 * kLanes)));

constexpr int64_t round_up(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

inline Vec broadcast(float a) { return a - Vec{}; }
inline IntVec broadcast(int32_t a) { return a - IntVec{}; }

inline Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }

/// The first n lanes from memory, the others 0.
inline Vec load_part(const float* p, int64_t n) {
  if (n >= kLanes) return load(p);
  Vec v{};
  __builtin_memcpy(&v, p, n * sizeof(float));
  return v;
}
inline void store_part(float* p, Vec v, int64_t n) {
  if (n >= kLanes) return store(p, v);
  __builtin_memcpy(p, &v, n * sizeof(float));
}

/// a clamped to [lo, hi]; a NaN becomes one of the two.
inline Vec clamp(Vec a, float lo, float hi) {
#if defined(__AVX512F__)
  // The unmasked forms warn of an uninitialised variable inside GCC 12's own header.
  constexpr __mmask16 kAll = 0xffff;
  return _mm512_maskz_min_ps(kAll, _mm512_maskz_max_ps(kAll, a, broadcast(lo)), broadcast(hi));
#elif defined(__AVX2__)
  return _mm256_min_ps(_mm256_max_ps(a, broadcast(lo)), broadcast(hi));
#else
  a = a > lo ? a : broadcast(lo);
  return a < hi ? a : broadcast(hi);
#endif
}

#if defined(__FMA__)
/// a * b - c with one rounding. Compilers fuse as they like: where that decides the precision it must be
/// asked for.
inline Vec fused_multiply_subtract(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmsub_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmsub_ps(a, b, c);
#else
  return _mm_fmsub_ps(a, b, c);
#endif
}
#endif

inline float sum(Vec v) {
  float s[kLanes];
  __builtin_memcpy(s, &v, sizeof v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) s[i] += s[i + width];
  return s[0];
}

/// e^x for x in [-87.3, 88], clamped outside: 2^n 2^f, |f| <= 1/2, minimax polynomial of degree 5 (1.1e-7).
/// Relative error 3e-7 + 1.4e-8 |x|.
inline Vec exp(Vec x) {
  x = clamp(x, -87.3f, 88.0f);
  constexpr float kLog2E = 1.44269504f;
  constexpr float kRound = 12582912.0f;     // 1.5 * 2^23: adding it rounds to an integer,
  const Vec shifted = x * kLog2E + kRound;  // which then sits in the low bits
#if defined(__FMA__)
  const Vec f = fused_multiply_subtract(x, broadcast(kLog2E), shifted - kRound);
#else
  // Without a fused multiply-add the product would be rounded: ln2 in two parts, n * 0.693359375 is exact.
  const Vec n = shifted - kRound;
  const Vec f = ((x - n * 0.693359375f) + n * 2.12194440e-4f) * kLog2E;
#endif
  Vec p = f * 0.00133001884f + 0.00966980924f;
  p = p * f + 0.0555056061f;
  p = p * f + 0.240222802f;
  p = p * f + 0.693147181f;
  p = p * f + 1.0f;
  return (Vec)((IntVec)p + ((IntVec)shifted << 23));
}

/// x / (1 + e^-x)
inline Vec silu(Vec x) { return x / (exp(-x) + 1.0f); }

/// log(1 + e^x) = max(x, 0) + log1p(u), u = e^-|x|; log1p(u) = 2 atanh(s), s = u / (2 + u) <= 1/3, minimax
/// (2e-8).
inline Vec softplus(Vec x) {
  const Vec positive = clamp(x, 0.0f, 3.4e38f);
  const Vec u = exp(x - 2.0f * positive);  // -|x|
  const Vec s = u / (u + 2.0f);
  const Vec t = s * s;
  Vec p = t * 0.140156367f + 0.139989319f;
  p = p * t + 0.20010885f;
  p = p * t + 0.33333206f;
  p = p * t + 1.0f;
  return positive + 2.0f * s * p;
}

// Interleaves the lower (upper) halves of a and b: a0 b0 a1 b1 ...
#if defined(__AVX512F__)
inline Vec zip_lower(Vec a, Vec b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
inline Vec zip_upper(Vec a, Vec b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif defined(__AVX2__)
inline Vec zip_lower(Vec a, Vec b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
inline Vec zip_upper(Vec a, Vec b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#else
inline Vec zip_lower(Vec a, Vec b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
inline Vec zip_upper(Vec a, Vec b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
#endif

/// to[c * to_stride + r] = from[r * from_stride + c] for rows x columns values.
inline void transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
                      int64_t to_stride) {
  for (int64_t r = 0; r < rows; r += kLanes) {
    for (int64_t c = 0; c < columns; c += kLanes) {
      const float* source = from + r * from_stride + c;
      float* target = to + c * to_stride + r;
      if (r + kLanes <= rows && c + kLanes <= columns) {
        // log2(lanes) perfect shuffles of the rows are a transposition.
        Vec a[kLanes], b[kLanes];
        for (int i = 0; i < kLanes; ++i) a[i] = load(source + i * from_stride);
        for (int step = 1; step < kLanes; step *= 2) {
          for (int i = 0; i < kLanes / 2; ++i) {
            b[2 * i] = zip_lower(a[i], a[i + kLanes / 2]);
            b[2 * i + 1] = zip_upper(a[i], a[i + kLanes / 2]);
          }
          for (int i = 0; i < kLanes; ++i) a[i] = b[i];
        }
        for (int i = 0; i < kLanes; ++i) store(target + i * to_stride, a[i]);
      } else {
        for (int64_t i = 0; i < smaller(kLanes, rows - r); ++i)
          for (int64_t j = 0; j < smaller(kLanes, columns - c); ++j)
            target[j * to_stride + i] = source[i * from_stride + j];
      }
    }
  }
}

/// Denormal numbers count as zero while one of these lives: decaying states would otherwise slow the scan a
/// hundredfold in digital silence.
class FlushDenormals {
 public:
#if defined(__SSE__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif
};

}  // namespace bsm::BSM_CPU_LEVEL
