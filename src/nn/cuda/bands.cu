// What surrounds the grouped products of the bands. A warp owns a band of a frame, a block of threads eight
// neighbours.
#include "nn/cuda/bands_kernels.h"
#include "nn/cuda/pair_norm.cuh"

namespace bsm::kernels {

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;

__device__ inline int band_of_warp() { return static_cast<int>(blockIdx.y * kWarps + threadIdx.x / kWarp); }

template <typename T>
__global__ void __launch_bounds__(kThreads)
    band_norm_kernel(BandShape shape, const BandPlace* places, const float* in, T* out) {
  const int64_t frame = blockIdx.x;
  const int band = band_of_warp();
  if (band >= shape.bands) return;
  const BandPlace place = places[band];
  const float* from = in + frame * shape.values + place.first;
  T* to = out + place.start * shape.frames + frame * place.width;
  float squares = 0;
  for (int i = lane_id(); i < place.width; i += kWarp) squares += from[i] * from[i];
  const float scale = 1.0f / fmaxf(sqrtf(lane_sum(squares)), 1e-12f);
  for (int i = lane_id(); i < place.width; i += kWarp) to[i] = from_float<T>(from[i] * scale);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    band_stream_kernel(BandShape shape, int dim, const T* features, const float* bias, float* x,
                       NormedRows normed) {
  const int band = band_of_warp();
  if (band >= shape.bands) return;
  const int64_t token = int64_t{blockIdx.x} * shape.bands + band;
  RowPacks row;
  float squares = 0;
#pragma unroll
  for (int pack = 0; pack < kMostPacks; ++pack) {
    const int d = (pack * kWarp + lane_id()) * kRowPack;
    if (d >= dim) break;
    const auto feature = load_pack<kRowPack>(features + token * dim + d);
    row[pack] = load_pack<kRowPack>(bias + band * dim + d);
#pragma unroll
    for (int i = 0; i < kRowPack; ++i) {
      row[pack].v[i] += to_float(feature.v[i]);
      squares += row[pack].v[i] * row[pack].v[i];
    }
    *reinterpret_cast<Pack<float, kRowPack>*>(x + token * dim + d) = row[pack];
  }
  store_normed<T>(row, squares, token, dim, normed);
}

constexpr int kTanhFrames = 8;  ///< of one band, by a block of threads
constexpr int kV = 8;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    band_tanh_kernel(int64_t frames, int width, T* x, const float* bias) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kTanhFrames, band = blockIdx.y;
  const int packs = width / kV, rows = static_cast<int>(min(int64_t{kTanhFrames}, frames - first));
  x += (band * frames + first) * width;
  bias += band * width;
  for (int i = static_cast<int>(threadIdx.x); i < rows * packs; i += kThreads) {
    const auto values = load_pack<kV>(x + i * kV);
    const auto own = load_pack<kV>(bias + i % packs * kV);
    float out[kV];
#pragma unroll
    for (int v = 0; v < kV; ++v) out[v] = tanh_approximate(to_float(values.v[v]) + own.v[v]);
    store_pack<kV>(x + i * kV, out);
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    band_glu_kernel(BandShape shape, const BandPlace* places, const T* in, const float* bias, float* out) {
  const int64_t frame = blockIdx.x;
  const int band = band_of_warp();
  if (band >= shape.bands) return;
  const BandPlace place = places[band];
  const T* from = in + 2 * (place.start * shape.frames + frame * place.width);
  const float* own = bias + 2 * place.first;
  for (int i = lane_id(); i < place.width; i += kWarp) {
    const int gate = i + place.width;
    out[frame * shape.values + place.first + i] =
        (to_float(from[i]) + own[i]) * sigmoid(to_float(from[gate]) + own[gate]);
  }
}

dim3 grid_of(const BandShape& shape) {
  return dim3(static_cast<unsigned>(shape.frames),
              static_cast<unsigned>((shape.bands + kWarps - 1) / kWarps));
}

template <typename Body>
cudaError_t with_16bit(const BandShape& shape, Body body) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    if constexpr (sizeof(scalar) == 2) return body(scalar);
    return cudaErrorInvalidValue;
  });
}

}  // namespace

cudaError_t launch_band_norm(const BandShape& shape, const BandPlace* places, const float* in, void* out,
                             cudaStream_t stream) {
  return with_16bit(shape, [&](auto scalar) {
    using T = decltype(scalar);
    return launch(band_norm_kernel<T>, grid_of(shape), kThreads, 0, stream, shape, places, in,
                  static_cast<T*>(out));
  });
}

cudaError_t launch_band_stream(const BandShape& shape, int dim, const void* features, const float* bias,
                               float* x, const NormedRows& normed, cudaStream_t stream) {
  if (dim % kRowPack != 0 || dim > kMaxPairDim) return cudaErrorInvalidValue;
  return with_16bit(shape, [&](auto scalar) {
    using T = decltype(scalar);
    return launch(band_stream_kernel<T>, grid_of(shape), kThreads, 0, stream, shape, dim,
                  static_cast<const T*>(features), bias, x, normed);
  });
}

cudaError_t launch_band_tanh(const BandShape& shape, int width, void* x, const float* bias,
                             cudaStream_t stream) {
  if (width % kV != 0) return cudaErrorInvalidValue;
  return with_16bit(shape, [&](auto scalar) {
    using T = decltype(scalar);
    const dim3 grid(static_cast<unsigned>((shape.frames + kTanhFrames - 1) / kTanhFrames),
                    static_cast<unsigned>(shape.bands));
    return launch(band_tanh_kernel<T>, grid, kThreads, 0, stream, shape.frames, width, static_cast<T*>(x),
                  bias);
  });
}

cudaError_t launch_band_glu(const BandShape& shape, const BandPlace* places, const void* in,
                            const float* bias, float* out, cudaStream_t stream) {
  return with_16bit(shape, [&](auto scalar) {
    using T = decltype(scalar);
    return launch(band_glu_kernel<T>, grid_of(shape), kThreads, 0, stream, shape, places,
                  static_cast<const T*>(in), bias, out);
  });
}

}  // namespace bsm::kernels
