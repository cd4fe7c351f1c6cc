// What all kernels share: number types, vectors of them, sums over a warp, asynchronous copies, launching.
//
// Everything specific to the machine is in this file and mma.cuh, behind `#ifdef BSM_EMULATED`: tests compile
// the kernels with a host compiler and run their threads as fibers (tests/gpu/emulator.h), so that indices
// and barriers are checked on machines without a GPU.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "nn/cuda/mixer_kernels.h"

#ifdef BSM_EMULATED
#include "emulator.h"
#endif

namespace bsm::kernels {

using Bfloat16 = __nv_bfloat16;
using Float16 = __half;

constexpr int kWarp = 32;
constexpr float kLog2e = 1.4426950408889634f;

/// Names products of float32 that are single ones of TF32 (see mma.cuh).
struct Tf32 {
  float value;
};

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(Float16 x) { return __half2float(x); }
__device__ inline float to_float(Bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ inline T from_float(float x) {
  if constexpr (sizeof(T) == 4) {
    return T{x};
  } else if constexpr (std::is_same_v<T, Float16>) {
    return __float2half_rn(x);
  } else {
    return __float2bfloat16_rn(x);
  }
}

/// V neighbours, moved by one memory instruction.
template <typename T, int V>
struct alignas(sizeof(T) * V) Pack {
  T v[V];
};

template <int V, typename T>
__device__ inline Pack<T, V> load_pack(const T* p) {
  return *reinterpret_cast<const Pack<T, V>*>(p);
}

template <int V, typename T>
__device__ inline void store_pack(T* p, const float (&values)[V]) {
  Pack<T, V> pack;
#pragma unroll
  for (int i = 0; i < V; ++i) pack.v[i] = from_float<T>(values[i]);
  *reinterpret_cast<Pack<T, V>*>(p) = pack;
}

#ifndef BSM_EMULATED
__device__ inline float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float reciprocal_approximate(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#endif

__device__ inline float sigmoid(float x) {
  return reciprocal_approximate(1.0f + exp2_approximate(-kLog2e * x));
}
__device__ inline float silu(float x) { return x * sigmoid(x); }
__device__ inline float silu_slope(float x) {
  const float s = sigmoid(x);
  return s * (1.0f + x * (1.0f - s));
}
/// As torch::softplus: linear above 20.
__device__ inline float softplus(float x) { return x > 20.0f ? x : log1pf(__expf(x)); }

/// Sum over lanes whose numbers differ in the bits of `Mask` only; every lane gets it.
template <int Mask = kWarp - 1>
__device__ inline float lane_sum(float x) {
#pragma unroll
  for (int bit = kWarp / 2; bit > 0; bit /= 2)
    if (Mask & bit) x += __shfl_xor_sync(0xffffffffu, x, bit);
  return x;
}

/// Where the elements of sequences lie in input order: [outer, L, inner] rows addressed in scan order.
struct Rows {
  int64_t stride_outer, stride_length, stride_inner;
  int64_t inner;
  int length;
  bool reversed;

  Rows(const MixerShape& shape, const Strided& in)
      : stride_outer(in.stride_outer),
        stride_length(in.stride_length),
        stride_inner(in.stride_inner),
        inner(shape.inner),
        length(shape.length),
        reversed(shape.reversed) {}

  __device__ int64_t sequence(int64_t s) const {
    return (s / inner) * stride_outer + (s % inner) * stride_inner;
  }
  __device__ int64_t element(int l) const { return (reversed ? length - 1 - l : l) * stride_length; }
};

/// Whether packs of V elements that start at a multiple of V in each row, after `offset` elements, are
/// aligned.
template <typename T, int V>
inline bool rows_aligned(const Strided& in, int64_t offset) {
  const auto address = reinterpret_cast<uintptr_t>(in.data) + static_cast<uintptr_t>(offset) * sizeof(T);
  return address % (sizeof(T) * V) == 0 && in.stride_outer % V == 0 && in.stride_length % V == 0 &&
         in.stride_inner % V == 0;
}

template <typename T>
inline Strided contiguous(const MixerShape& shape, const T* data) {
  const int64_t width = shape.in_proj_width();
  return {data, shape.length * shape.inner * width, shape.inner * width, width};
}

#ifndef BSM_EMULATED

__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char shared[];
  return shared;
}

/// 16 bytes from global to shared memory without passing through registers; zeros when not `valid`.
__device__ inline void copy_async_16(void* to_shared, const void* from, bool valid) {
  const uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(to_shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0)
               : "memory");
}
__device__ inline void copy_async_wait() { asm volatile("cp.async.wait_all;" ::: "memory"); }
/// Ends a group of copies; copy_async_wait_but<N>() waits for all groups but the N that ended last.
__device__ inline void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
__device__ inline void copy_async_wait_but() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/// Off by 2^-11 at most.
__device__ inline float tanh_approximate(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// A copy that the compiler takes for another number: what is made of it in a loop isn't kept in registers
/// from one round to the next.
__device__ inline unsigned fresh(unsigned x) {
  asm volatile("" : "+r"(x));
  return x;
}

/// Of the current device.
inline cudaError_t device_attribute(cudaDeviceAttr what, int& value) {
  int device = 0;
  const cudaError_t error = cudaGetDevice(&device);
  return error == cudaSuccess ? cudaDeviceGetAttribute(&value, what, device) : error;
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared_bytes,
                   cudaStream_t stream, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  if (shared_bytes > 48 * 1024) {
    const cudaError_t error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return error;
  }
  kernel<<<grid, threads, shared_bytes, stream>>>(arguments...);
  return cudaGetLastError();
}

#endif

/// Calls body(T{}) with the element type of the call.
template <typename Body>
cudaError_t with_scalar(Scalar scalar, Body body) {
  switch (scalar) {
    case Scalar::kFloat32:
      return body(float{});
    case Scalar::kFloat16:
      return body(Float16{});
    case Scalar::kBfloat16:
      return body(Bfloat16{});
  }
  return cudaErrorInvalidValue;
}

}  // namespace bsm::kernels
