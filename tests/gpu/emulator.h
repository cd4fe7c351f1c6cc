// Runs CUDA kernels on the host, one block after the other, their threads as fibers that take turns at
// barriers.
//
// Stands in for the machine-specific part of src/nn/cuda/device.cuh and mma.cuh when BSM_EMULATED is defined.
// Covers what those kernels use: barriers, shuffles, ldmatrix and mma with the spread of elements over lanes
// that the PTX manual gives (sections on ldmatrix, mma.m16n8k8 .tf32, mma.m16n8k16 .f16/.bf16). Memory order
// between barriers is that of one thread after another: it finds wrong indices and missing values, not races.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

#undef __global__
#undef __grid_constant__
#undef __launch_bounds__
#define __global__
#define __grid_constant__
#define __launch_bounds__(...)

namespace bsm::emulator {

struct Place {
  uint3 thread, block;
  dim3 grid, block_size;
};
/// Of the fiber that runs.
Place& place();
unsigned char* shared_memory();
void block_barrier();
/// Of the threads of a part of the block; each number always has the same threads.
void group_barrier(int number, int threads);
/// Lets the other threads run until it is true; what makes it true calls progress().
void wait_until(const std::function<bool()>& condition);
void progress();
/// Leaves `size` bytes for the other lanes of the warp, waits for theirs, returns lane 0's; lane i's are i *
/// 64 after.
const unsigned char* exchange(const void* mine, size_t size);
constexpr size_t kSlotBytes = 64;

/// Shared memory that a block may have; tests change it. Starts as on compute capability 9.0.
inline size_t shared_bytes_limit = 227 * 1024;
/// Of the GPU; few, so that a block of threads that stays has more than one unit of work.
inline int multiprocessors = 5;
/// Whether the GPU has the products of emulated_groups.h; tests change it.
inline bool has_group_products = true;

/// Runs `body` once per thread of every block.
void run(dim3 grid, int threads, size_t shared_bytes, const std::function<void()>& body);

template <typename T>
T from_lane(T value, int lane) {
  const unsigned char* all = exchange(&value, sizeof(T));
  std::memcpy(&value, all + static_cast<size_t>(lane) * kSlotBytes, sizeof(T));
  return value;
}

inline int lane() { return static_cast<int>(place().thread.x % 32); }

}  // namespace bsm::emulator

#define threadIdx (bsm::emulator::place().thread)
#define blockIdx (bsm::emulator::place().block)
#define gridDim (bsm::emulator::place().grid)
#define blockDim (bsm::emulator::place().block_size)

namespace bsm::kernels {

using std::min;

inline void __syncthreads() { emulator::block_barrier(); }
inline void __syncwarp() { emulator::exchange(nullptr, 0); }
template <typename T>
T __shfl_sync(unsigned, T value, int lane) {
  return emulator::from_lane(value, lane);
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulator::from_lane(value, emulator::lane() ^ mask);
}
template <typename T>
T __shfl_up_sync(unsigned, T value, int distance) {
  const int from = emulator::lane() - distance;
  return emulator::from_lane(value, from < 0 ? emulator::lane() : from);
}
template <typename T>
T __shfl_down_sync(unsigned, T value, int distance) {
  const int from = emulator::lane() + distance;
  return emulator::from_lane(value, from > 31 ? emulator::lane() : from);
}

inline uint32_t __float_as_uint(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline float __expf(float x) { return std::exp(x); }
inline float exp2_approximate(float x) { return std::exp2(x); }
inline unsigned fresh(unsigned x) { return x; }
inline float reciprocal_approximate(float x) { return 1.0f / x; }
inline float tanh_approximate(float x) { return std::tanh(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __uint_as_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

inline unsigned char* dynamic_shared() { return emulator::shared_memory(); }

/// As cp.async: both addresses must be multiples of 16.
inline void copy_async_16(void* to_shared, const void* from, bool valid) {
  if (reinterpret_cast<uintptr_t>(to_shared) % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0)
    std::abort();
  if (valid) {
    std::memcpy(to_shared, from, 16);
  } else {
    std::memset(to_shared, 0, 16);
  }
}
inline void copy_async_wait() {}
inline void copy_async_commit() {}
template <int>
void copy_async_wait_but() {}

inline cudaError_t device_attribute(cudaDeviceAttr what, int& value) {
  if (what != cudaDevAttrMaxSharedMemoryPerBlockOptin && what != cudaDevAttrMultiProcessorCount) std::abort();
  value = what == cudaDevAttrMultiProcessorCount ? emulator::multiprocessors
                                                 : static_cast<int>(emulator::shared_bytes_limit);
  return cudaSuccess;
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared_bytes, cudaStream_t,
                   Arguments... arguments) {
  if (shared_bytes > emulator::shared_bytes_limit) return cudaErrorInvalidValue;
  emulator::run(grid, threads, shared_bytes, [&] { kernel(arguments...); });
  return cudaSuccess;
}

/// Element of a 16-bit pair as float.
template <typename T>
float element(uint32_t word, int which) {
  T pair[2];
  std::memcpy(static_cast<void*>(pair), &word, sizeof(word));
  return static_cast<float>(pair[which]);
}

template <bool Transposed>
void load_matrices(uint32_t (&r)[4], const void* row) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) std::abort();
  const unsigned char* all = emulator::exchange(&row, sizeof(row));
  const int lane = emulator::lane();
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t pair[2];
    for (int e = 0; e < 2; ++e) {
      const int i = Transposed ? 2 * (lane % 4) + e : lane / 4,
                j = Transposed ? lane / 4 : 2 * (lane % 4) + e;
      const unsigned char* address;
      std::memcpy(&address, all + (8 * matrix + i) * emulator::kSlotBytes, sizeof(address));
      std::memcpy(&pair[e], address + 2 * j, 2);
    }
    std::memcpy(&r[matrix], pair, 4);
  }
}

/// d[row, column] += sum over k of a(row, k) b(k, column), with the registers of all lanes at hand.
template <int K, typename Tile, typename Register, typename At>
void multiply_tiles(Tile& d, const Register (&a)[4], const Register (&b)[2], At at) {
  struct Registers {
    Register a[4], b[2];
  } mine;
  std::copy(a, a + 4, mine.a);
  std::copy(b, b + 2, mine.b);
  const unsigned char* all = emulator::exchange(&mine, sizeof(mine));
  const auto of_lane = [&](int lane) -> const Registers& {
    return *reinterpret_cast<const Registers*>(all + static_cast<size_t>(lane) * emulator::kSlotBytes);
  };
  const int g = emulator::lane() / 4, t = emulator::lane() % 4;
  for (int e = 0; e < 4; ++e) {
    const int row = g + (e & 2 ? 8 : 0), column = 2 * t + (e & 1);
    float sum = 0;
    for (int k = 0; k < K; ++k) sum += at(of_lane, row, k, column);
    d.r[e] += sum;
  }
}

/// Like a GPU, ignores the 13 bits that TF32 does not have.
template <typename Tile>
void mma_tf32(Tile& d, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply_tiles<8>(d, a, b, [](const auto& of_lane, int row, int k, int column) {
    const auto value = [](uint32_t bits) { return __uint_as_float(bits & ~0x1fffu); };
    return value(of_lane(row % 8 * 4 + k % 4).a[row / 8 + k / 4 * 2]) *
           value(of_lane(column * 4 + k % 4).b[k / 4]);
  });
}

template <typename T, typename Tile>
void mma_16bit(Tile& d, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply_tiles<16>(d, a, b, [](const auto& of_lane, int row, int k, int column) {
    const float left = element<T>(of_lane(row % 8 * 4 + k % 8 / 2).a[row / 8 + k / 8 * 2], k % 2);
    return left * element<T>(of_lane(column * 4 + k % 8 / 2).b[k / 8], k % 2);
  });
}

}  // namespace bsm::kernels
