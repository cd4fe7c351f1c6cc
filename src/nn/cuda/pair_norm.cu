// Both ends of a block: the norm of the residual stream ahead of the input projection, and the sum that
// updates the stream. One warp to a token; the only kernels that know where a slice of the stream lies.
#include "nn/cuda/pair.cuh"

namespace bsm::kernels {

namespace {

constexpr int kWarps = 8;
constexpr int kV = 4;
constexpr float kEps = 1e-5f;

__device__ inline int64_t stream_offset(const StreamView& x, int64_t token, int64_t inner, int64_t length) {
  const int64_t row = token / inner;
  return row / length * x.stride_outer + row % length * x.stride_length + token % inner * x.stride_inner;
}

__device__ inline float mean_square(const float* x, int dim) {
  float squares = 0;
  for (int d = lane_id() * kV; d < dim; d += kWarp * kV) {
    const auto v = load_pack<kV>(x + d);
#pragma unroll
    for (int i = 0; i < kV; ++i) squares += v.v[i] * v.v[i];
  }
  return lane_sum(squares) / static_cast<float>(dim) + kEps;
}

template <typename T>
__global__ void __launch_bounds__(kWarps* kWarp) norm_kernel(PairShape shape, StreamView x, T* xn) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (token >= shape.tokens()) return;
  const float* from = x.data + stream_offset(x, token, shape.inner, shape.length);
  const float scale = rsqrtf(mean_square(from, shape.dim));
  for (int d = lane_id() * kV; d < shape.dim; d += kWarp * kV) {
    const auto v = load_pack<kV>(from + d);
    float out[kV];
#pragma unroll
    for (int i = 0; i < kV; ++i) out[i] = v.v[i] * scale;
    store_pack<kV>(xn + token * shape.dim + d, out);
  }
}

template <typename T>
__global__ void __launch_bounds__(kWarps* kWarp)
    merge_kernel(PairShape shape, const T* projected, const T* products, const float* squares,
                 const float* bias, StreamView x, StreamView y, T* normed) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (token >= shape.tokens()) return;
  const float* own = x.data + stream_offset(x, token, shape.inner, shape.length);
  float* out = y.data + stream_offset(y, token, shape.inner, shape.length);
  const int heads = shape.heads();
  float scale[2] = {0, 0};
  for (int direction = 0; direction < shape.directions; ++direction) {
    float sum = 0;
    for (int h = lane_id(); h < heads; h += kWarp)
      sum += squares[(direction * shape.tokens() + token) * heads + h];
    scale[direction] = rsqrtf(lane_sum(sum) / static_cast<float>(shape.d_inner) + kEps);
  }
  const float rms = sqrtf(mean_square(own, shape.dim));
  const T* residual = projected + token * shape.projected_width() + shape.directions * shape.slab();
  constexpr int kMostPacks = kMaxPairDim / (kWarp * kV);
  Pack<float, kV> sums[kMostPacks];
  float squares_of_y = 0;
#pragma unroll
  for (int pack = 0; pack < kMostPacks; ++pack) {
    const int d = (pack * kWarp + lane_id()) * kV;
    if (d >= shape.dim) break;
    const auto old = load_pack<kV>(own + d), constant = load_pack<kV>(bias + d);
    const auto linear = load_pack<kV>(residual + d);
    Pack<float, kV>& sum = sums[pack];
#pragma unroll
    for (int i = 0; i < kV; ++i) sum.v[i] = old.v[i] + constant.v[i] + rms * to_float(linear.v[i]);
    for (int direction = 0; direction < shape.directions; ++direction) {
      const auto product = load_pack<kV>(products + (direction * shape.tokens() + token) * shape.dim + d);
#pragma unroll
      for (int i = 0; i < kV; ++i) sum.v[i] += scale[direction] * to_float(product.v[i]);
    }
    *reinterpret_cast<Pack<float, kV>*>(out + d) = sum;
#pragma unroll
    for (int i = 0; i < kV; ++i) squares_of_y += sum.v[i] * sum.v[i];
  }
  if (normed == nullptr) return;
  const float normalise = rsqrtf(lane_sum(squares_of_y) / static_cast<float>(shape.dim) + kEps);
#pragma unroll
  for (int pack = 0; pack < kMostPacks; ++pack) {
    const int d = (pack * kWarp + lane_id()) * kV;
    if (d >= shape.dim) break;
    float values[kV];
#pragma unroll
    for (int i = 0; i < kV; ++i) values[i] = sums[pack].v[i] * normalise;
    store_pack<kV>(normed + token * shape.dim + d, values);
  }
}

dim3 grid_of(const PairShape& shape) {
  return dim3(static_cast<unsigned>((shape.tokens() + kWarps - 1) / kWarps));
}

}  // namespace

cudaError_t launch_pair_norm(const PairShape& shape, const StreamView& x, void* xn, cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    return launch(norm_kernel<T>, grid_of(shape), kWarps * kWarp, 0, stream, shape, x, static_cast<T*>(xn));
  });
}

cudaError_t launch_pair_merge(const PairShape& shape, const void* projected, const void* products,
                              const float* squares, const float* bias, const StreamView& x,
                              const StreamView& y, void* normed, cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    return launch(merge_kernel<T>, grid_of(shape), kWarps * kWarp, 0, stream, shape,
                  static_cast<const T*>(projected), static_cast<const T*>(products), squares, bias, x, y,
                  static_cast<T*>(normed));
  });
}

}  // namespace bsm::kernels
