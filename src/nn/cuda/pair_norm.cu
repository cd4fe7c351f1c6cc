// Both ends of a block: the norm of the residual stream ahead of the input projection, and the sum that
// updates the stream. One warp to a token; the only kernels that know where a slice of the stream lies.
#include "nn/cuda/pair_norm.cuh"

namespace bsm::kernels {

namespace {

constexpr int kWarps = 8;

template <typename T>
__global__ void __launch_bounds__(kWarps* kWarp)
    norm_kernel(PairShape shape, StreamView x, NormedRows normed) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (token >= shape.tokens()) return;
  const float* from = x.data + stream_offset(x, token, shape);
  RowPacks row;
  float squares = 0;
#pragma unroll
  for (int pack = 0; pack < kMostPacks; ++pack) {
    const int d = (pack * kWarp + lane_id()) * kRowPack;
    if (d >= shape.dim) break;
    row[pack] = load_pack<kRowPack>(from + d);
#pragma unroll
    for (int i = 0; i < kRowPack; ++i) squares += row[pack].v[i] * row[pack].v[i];
  }
  store_normed<T>(row, squares, token, shape.dim, normed);
}

template <typename T>
__global__ void __launch_bounds__(kWarps* kWarp)
    merge_kernel(PairShape shape, const T* products, MergeInputs in, StreamView x, StreamView y,
                 NormedRows normed) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (token >= shape.tokens()) return;
  const float* own = x.data + stream_offset(x, token, shape);
  float* out = y.data + stream_offset(y, token, shape);
  float scale[3] = {in.rms[token]};
  for (int direction = 0; direction < shape.directions; ++direction)
    scale[1 + direction] = norm_factor<kWarp>(in.squares, shape, direction, token);
  RowPacks sums;
  float squares = 0;
#pragma unroll
  for (int pack = 0; pack < kMostPacks; ++pack) {
    const int d = (pack * kWarp + lane_id()) * kRowPack;
    if (d >= shape.dim) break;
    const auto old = load_pack<kRowPack>(own + d), constant = load_pack<kRowPack>(in.bias + d);
    Pack<float, kRowPack>& sum = sums[pack];
#pragma unroll
    for (int i = 0; i < kRowPack; ++i) sum.v[i] = old.v[i] + constant.v[i];
    for (int part = 0; part < 1 + shape.directions; ++part) {
      const auto product = load_pack<kRowPack>(products + (part * shape.tokens() + token) * shape.dim + d);
#pragma unroll
      for (int i = 0; i < kRowPack; ++i) sum.v[i] += scale[part] * to_float(product.v[i]);
    }
    *reinterpret_cast<Pack<float, kRowPack>*>(out + d) = sum;
#pragma unroll
    for (int i = 0; i < kRowPack; ++i) squares += sum.v[i] * sum.v[i];
  }
  if (normed.xn != nullptr) store_normed<T>(sums, squares, token, shape.dim, normed);
}

dim3 grid_of(const PairShape& shape) {
  return dim3(static_cast<unsigned>((shape.tokens() + kWarps - 1) / kWarps));
}

}  // namespace

cudaError_t launch_pair_norm(const PairShape& shape, const StreamView& x, const NormedRows& normed,
                             cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    return launch(norm_kernel<decltype(scalar)>, grid_of(shape), kWarps * kWarp, 0, stream, shape, x, normed);
  });
}

cudaError_t launch_pair_merge(const PairShape& shape, const void* products, const MergeInputs& in,
                              const StreamView& x, const StreamView& y, const NormedRows& normed,
                              cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    return launch(merge_kernel<T>, grid_of(shape), kWarps * kWarp, 0, stream, shape,
                  static_cast<const T*>(products), in, x, y, normed);
  });
}

}  // namespace bsm::kernels
