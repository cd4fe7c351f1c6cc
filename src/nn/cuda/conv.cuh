// What the kernels of the convolution share. A thread owns V neighbouring channels and walks along a piece of
// a sequence with the last inputs in registers; rows are loaded kAtOnce at a time, so that several loads are
// in flight. All widths run as kMaxConvWidth taps, with leading zeros.
#pragma once

#include "nn/cuda/device.cuh"

namespace bsm::kernels {

constexpr int kTaps = kMaxConvWidth;
constexpr int kPiece = 64;  ///< elements of a sequence that a thread walks
constexpr int kAtOnce = 4;
constexpr int kConvThreads = 128;

/// The taps of the block's channels go through shared memory: read in order there, they would cost a thread
/// that owns several channels one cache line a load.
constexpr size_t taps_shared_bytes(int channels_per_thread) {
  return sizeof(float) * kTaps * kConvThreads * static_cast<size_t>(channels_per_thread);
}

/// Taps of V channels from `channel` on, of `channels`. All threads of the block must call it.
template <int V>
__device__ inline void load_taps(const float* weight, int channel, int channels, int width,
                                 float (&taps)[kTaps][V]) {
  constexpr int kChannels = kConvThreads * V;
  float* shared = reinterpret_cast<float*>(dynamic_shared());  // [kTaps, kChannels]
  const int thread = static_cast<int>(threadIdx.x), first = channel - thread * V;
  for (int i = thread; i < kChannels * width; i += kConvThreads)
    if (first * width + i < channels * width)
      shared[(kTaps - width + i % width) * kChannels + i / width] = weight[first * width + i];
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kTaps; ++k)
#pragma unroll
    for (int i = 0; i < V; ++i)
      taps[k][i] = k >= kTaps - width ? shared[k * kChannels + thread * V + i] : 0.0f;
}

/// Not for weights: they may be slices of a larger tensor that start anywhere.
template <typename T, int V>
__device__ inline void load_floats(const T* p, float (&values)[V]) {
  const Pack<T, V> pack = load_pack<V>(p);
#pragma unroll
  for (int i = 0; i < V; ++i) values[i] = to_float(pack.v[i]);
}

}  // namespace bsm::kernels
