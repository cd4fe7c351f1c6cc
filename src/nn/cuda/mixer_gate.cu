// out = RMSNorm(y SiLU(z)) norm_weight and its gradient; one warp to a token.
//
// y comes in scan order, z and out are in input order.
#include "nn/cuda/device.cuh"

namespace bsm::kernels {

namespace {

constexpr int kWarps = 4;
constexpr float kNormEps = 1e-5f;
constexpr int64_t kMaxBlocks = 1024;

template <typename T>
struct GateArguments {
  const T* z;
  const T* y;
  const float* weight;
  const T* d_out;
  T* out;
  T* d_y;
  T* d_z;
  float* partial;
  Rows rows, d_rows;
  int64_t tokens;
  int d_inner;
};

/// Places of a token of out, which is contiguous in input order.
struct Token {
  int64_t z, d_z, y;

  template <typename T>
  __device__ Token(const GateArguments<T>& a, int64_t token) {
    const int64_t inner = a.rows.inner, length = a.rows.length;
    const int64_t row = token / inner, sequence = row / length * inner + token % inner;
    const int l = static_cast<int>(row % length), scanned = a.rows.reversed ? a.rows.length - 1 - l : l;
    z = a.rows.sequence(sequence) + a.rows.element(scanned);
    d_z = a.d_rows.sequence(sequence) + a.d_rows.element(scanned);
    y = (sequence * length + scanned) * a.d_inner;
  }
};

template <typename T, int V>
__global__ void __launch_bounds__(kWarps* kWarp) gate_kernel(GateArguments<T> a) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  if (token >= a.tokens) return;
  const Token at(a, token);
  float* gated =
      reinterpret_cast<float*>(dynamic_shared()) + warp * a.d_inner;  // each lane reads what it wrote
  float squares = 0;
  for (int e = lane * V; e < a.d_inner; e += kWarp * V) {
    const Pack<T, V> z = load_pack<V>(a.z + at.z + e), y = load_pack<V>(a.y + at.y + e);
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const float g = to_float(y.v[i]) * silu(to_float(z.v[i]));
      gated[e + i] = g;
      squares += g * g;
    }
  }
  const float scale = rsqrtf(lane_sum(squares) / a.d_inner + kNormEps);
  for (int e = lane * V; e < a.d_inner; e += kWarp * V) {
    float out[V];
#pragma unroll
    for (int i = 0; i < V; ++i) out[i] = gated[e + i] * scale * a.weight[e + i];
    store_pack<V>(a.out + token * a.d_inner + e, out);
  }
}

// With g = y SiLU(z), r = rsqrt(mean(g^2) + eps), q = d_out weight: d g = r q - g r^3 mean(q g).
template <typename T, int V>
__global__ void __launch_bounds__(kWarps* kWarp) gate_backward_kernel(GateArguments<T> a) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  float* d_weights = reinterpret_cast<float*>(dynamic_shared());
  float* d_weight = d_weights + warp * a.d_inner;
  for (int e = lane * V; e < a.d_inner; e += kWarp * V)
#pragma unroll
    for (int i = 0; i < V; ++i) d_weight[e + i] = 0;

  for (int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + warp; token < a.tokens;
       token += static_cast<int64_t>(gridDim.x) * kWarps) {
    const Token at(a, token);
    float squares = 0, product = 0;
    for (int e = lane * V; e < a.d_inner; e += kWarp * V) {
      const Pack<T, V> z = load_pack<V>(a.z + at.z + e), y = load_pack<V>(a.y + at.y + e);
      const Pack<T, V> d_out = load_pack<V>(a.d_out + token * a.d_inner + e);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const float g = to_float(y.v[i]) * silu(to_float(z.v[i]));
        squares += g * g;
        product += g * to_float(d_out.v[i]) * a.weight[e + i];
      }
    }
    const float scale = rsqrtf(lane_sum(squares) / a.d_inner + kNormEps);
    const float along = lane_sum(product) / a.d_inner * scale * scale * scale;
    for (int e = lane * V; e < a.d_inner; e += kWarp * V) {
      const Pack<T, V> z = load_pack<V>(a.z + at.z + e), y = load_pack<V>(a.y + at.y + e);
      const Pack<T, V> d_out = load_pack<V>(a.d_out + token * a.d_inner + e);
      float d_y[V], d_z[V];
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const float zi = to_float(z.v[i]), yi = to_float(y.v[i]), out = to_float(d_out.v[i]);
        const float gate = silu(zi), g = yi * gate;
        const float d_g = scale * out * a.weight[e + i] - g * along;
        d_y[i] = d_g * gate;
        d_z[i] = d_g * yi * silu_slope(zi);
        d_weight[e + i] += out * g * scale;
      }
      store_pack<V>(a.d_y + at.y + e, d_y);
      store_pack<V>(a.d_z + at.d_z + e, d_z);
    }
  }
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < a.d_inner; e += kWarps * kWarp) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += d_weights[w * a.d_inner + e];
    a.partial[static_cast<int64_t>(blockIdx.x) * a.d_inner + e] = sum;
  }
}

int64_t blocks_of(const MixerShape& shape) { return (shape.tokens() + kWarps - 1) / kWarps; }

size_t shared_bytes(const MixerShape& shape) {
  return sizeof(float) * kWarps * static_cast<size_t>(shape.d_inner);
}

}  // namespace

cudaError_t launch_gate_forward(const MixerShape& shape, const Strided& zxbcdt, const void* y,
                                const float* norm_weight, void* out, cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    constexpr int V = 16 / static_cast<int>(sizeof(T));
    const GateArguments<T> arguments{static_cast<const T*>(zxbcdt.data),
                                     static_cast<const T*>(y),
                                     norm_weight,
                                     nullptr,
                                     static_cast<T*>(out),
                                     nullptr,
                                     nullptr,
                                     nullptr,
                                     Rows(shape, zxbcdt),
                                     Rows(shape, zxbcdt),
                                     shape.tokens(),
                                     shape.d_inner};
    const auto kernel = rows_aligned<T, V>(zxbcdt, 0) ? gate_kernel<T, V> : gate_kernel<T, 1>;
    return launch(kernel, dim3(static_cast<unsigned>(blocks_of(shape))), kWarps * kWarp, shared_bytes(shape),
                  stream, arguments);
  });
}

int gate_backward_blocks(const MixerShape& shape) {
  const int64_t blocks = blocks_of(shape);
  return static_cast<int>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

cudaError_t launch_gate_backward(const MixerShape& shape, const Strided& zxbcdt, const void* y,
                                 const float* norm_weight, const void* d_out, void* d_y, void* d_zxbcdt,
                                 float* partial, cudaStream_t stream) {
  return with_scalar(shape.scalar, [&](auto scalar) {
    using T = decltype(scalar);
    constexpr int V = 16 / static_cast<int>(sizeof(T));
    const Strided d_in = contiguous(shape, static_cast<const T*>(d_zxbcdt));
    const GateArguments<T> arguments{static_cast<const T*>(zxbcdt.data),
                                     static_cast<const T*>(y),
                                     norm_weight,
                                     static_cast<const T*>(d_out),
                                     nullptr,
                                     static_cast<T*>(d_y),
                                     static_cast<T*>(d_zxbcdt),
                                     partial,
                                     Rows(shape, zxbcdt),
                                     Rows(shape, d_in),
                                     shape.tokens(),
                                     shape.d_inner};
    const bool packs = rows_aligned<T, V>(zxbcdt, 0) && rows_aligned<T, V>(d_in, 0);
    return launch(packs ? gate_backward_kernel<T, V> : gate_backward_kernel<T, 1>,
                  dim3(static_cast<unsigned>(gate_backward_blocks(shape))), kWarps * kWarp,
                  shared_bytes(shape), stream, arguments);
  });
}

}  // namespace bsm::kernels
