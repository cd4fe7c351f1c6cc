// What the heads of a chunk share: B and C after convolution and SiLU, C B^T, and the decays of each head. A
// block of threads owns a chunk of one sequence.
#include "nn/cuda/mixer_infer.cuh"

namespace bsm::kernels {

namespace {

constexpr int kThreads = 128, kWarps = kThreads / kWarp;

struct ChunksArguments {
  const float* in;  // column 0 of zxbcdt
  InferWeights weights;
  const float* conv_in;
  InferBuffers out;
  Rows rows;
  InferChunks cut;
  int d_inner, channels, heads, width;
};

/// B | C of a chunk. Rows are padded by 8, so that the 16 pairs that half a warp reads lie in different
/// banks.
template <int N>
struct BcTile {
  static constexpr int kStride = 2 * N + 8;
  float rows[kInferChunk * kStride];
};

template <int N>
__device__ inline void convolve(const ChunksArguments& a, int64_t sequence, int begin, BcTile<N>& tile) {
  constexpr int kGroups = kThreads / N, kRows = kInferChunk / kGroups;
  const int thread = static_cast<int>(threadIdx.x), column = thread % N * 2, first = thread / N * kRows;
  const int channel = a.d_inner + column;
  const float* in = a.in + a.rows.sequence(sequence) + a.d_inner + channel;
  float2 inputs[kRows + kHaloInputs], taps[kMaxConvWidth];
#pragma unroll
  for (int r = 0; r < kRows + kHaloInputs; ++r) {
    const int l = begin + first + r - kHaloInputs;
    inputs[r] = {0, 0};
    if (l >= 0 && l < a.rows.length) {
      inputs[r] = load_pair(in + a.rows.element(l));
    } else if (l < 0) {
      const float* stored = stored_input(a.conv_in, sequence, l, a.width, a.channels);
      if (stored != nullptr) inputs[r] = load_pair(stored + channel);
    }
  }
#pragma unroll
  for (int k = 0; k < kMaxConvWidth; ++k)
    taps[k] = {tap_of(a.weights.conv_weight, a.width, channel, k),
               tap_of(a.weights.conv_weight, a.width, channel + 1, k)};
  const float2 bias = {a.weights.conv_bias[channel], a.weights.conv_bias[channel + 1]};
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float2 value = convolve_pair(taps, bias, inputs + r);
    store_pair(tile.rows + (first + r) * BcTile<N>::kStride + column, value.x, value.y);
  }
}

/// One warp: the decays of a head.
__device__ inline void store_decays(const ChunksArguments& a, int64_t sequence, int head, int begin, int end,
                                    InferDecays& out) {
  const int l = begin + lane_id();
  float dt = 0;
  if (l < end)
    dt = softplus(a.in[a.rows.sequence(sequence) + a.rows.element(l) + a.d_inner + a.channels + head] +
                  a.weights.dt_bias[head]);
  float sum = dt * decay_rate(a.weights.A_log[head]);
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const float before = __shfl_up_sync(0xffffffffu, sum, distance);
    if (lane_id() >= distance) sum += before;
  }
  out.log_decay[lane_id()] = sum;
  out.from[lane_id()] = sum - log2f(dt);
}

/// One warp: the scores of 16 elements t and 16 elements s, as exact as float32: see add_output_of_chunk() of
/// the scan.
template <int N>
__device__ inline void store_scores(const BcTile<N>& tile, int block, float* out) {
  constexpr int kStride = BcTile<N>::kStride;
  const int g = tile_row(), c = tile_column();
  const float* B = tile.rows + (16 * infer_block_s(block) + g) * kStride + c;
  const float* C = tile.rows + (16 * infer_block_t(block) + g) * kStride + N + c;
  Tile scores[2];
#pragma unroll
  for (int k = 0; k < N; k += 16) {
    FragmentA<float> a;
    FragmentB<float> b[2];
#pragma unroll
    for (int i = 0; i < 4; ++i) {  // quarters of 8 x 8: rows, then columns
      const float2 pair = load_pair(C + 8 * (i % 2) * kStride + k + 8 * (i / 2));
      a.r[2 * i] = pair.x;
      a.r[2 * i + 1] = pair.y;
      const float2 other = load_pair(B + 8 * (i / 2) * kStride + k + 8 * (i % 2));
      b[i / 2].r[2 * (i % 2)] = other.x;
      b[i / 2].r[2 * (i % 2) + 1] = other.y;
    }
    multiply_add(scores[0], a, b[0]);
    multiply_add(scores[1], a, b[1]);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half)
    store_pack<4>(
        out + ((2 * block + half) * kWarp + lane_id()) * 4,
        {scores[0].r[2 * half], scores[0].r[2 * half + 1], scores[1].r[2 * half], scores[1].r[2 * half + 1]});
}

template <typename T, int N>
__global__ void __launch_bounds__(kThreads) chunks_kernel(ChunksArguments a) {
  auto& tile = *reinterpret_cast<BcTile<N>*>(dynamic_shared());
  constexpr int kStride = BcTile<N>::kStride;
  const int count = a.cut.count(), chunk = static_cast<int>(blockIdx.x) % count;
  const int64_t sequence = blockIdx.x / count;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp;
  const int begin = a.cut.begin(chunk), end = a.cut.end(chunk);
  auto* decays = reinterpret_cast<InferDecays*>(a.out.decays) + static_cast<int64_t>(blockIdx.x) * a.heads;
  auto& out = reinterpret_cast<InferCommon<N>*>(a.out.common)[blockIdx.x];

  convolve(a, sequence, begin, tile);
  for (int head = warp; head < a.heads; head += kWarps)
    store_decays(a, sequence, head, begin, end, decays[head]);
  __syncthreads();
  if (warp < kInferBlocks) store_scores(tile, warp, out.scores);
  for (int i = thread; i < kInferChunk * N / 4; i += kThreads) {
    const int fragment = i / kWarp, g = i % kWarp / 4, c = 2 * (i % 4);
    const int s = 16 * (fragment / (N / 8)) + c, n = 8 * (fragment % (N / 8)) + g;
    const float* B = tile.rows + s * kStride + n;
    store_pack<4>(out.B + 4 * i, {as_factor<T>(B[0]), as_factor<T>(B[kStride]), as_factor<T>(B[8 * kStride]),
                                  as_factor<T>(B[9 * kStride])});
    const int t = 8 * (fragment / (N / 16)) + g, k = 16 * (fragment % (N / 16)) + c;
    const float* C = tile.rows + t * kStride + N + k;
    const float2 low = load_pair(C), high = load_pair(C + 8);
    store_pack<4>(out.C + 4 * i,
                  {as_factor<T>(low.x), as_factor<T>(low.y), as_factor<T>(high.x), as_factor<T>(high.y)});
  }
}

}  // namespace

int infer_common_floats(const MixerShape& shape) {
  int floats = 0;
  with_sizes(shape.state, shape.head_dim, [&](auto n, auto) {
    floats = sizeof(InferCommon<decltype(n)::value>) / sizeof(float);
    return cudaSuccess;
  });
  return floats;
}

bool infer_aligned(const MixerShape& shape, const Strided& zxbcdt) {
  return shape.d_inner % 4 == 0 && rows_aligned<float, 4>(zxbcdt, 0);
}

cudaError_t launch_infer_chunks(const MixerShape& shape, const Strided& zxbcdt, const InferWeights& weights,
                                const InferState& state, const InferBuffers& chunks, cudaStream_t stream) {
  return with_products(shape, [&](auto scalar) {
    using T = decltype(scalar);
    return with_sizes(shape.state, shape.head_dim, [&](auto n, auto) {
      constexpr int N = decltype(n)::value;
      const ChunksArguments arguments{static_cast<const float*>(zxbcdt.data),
                                      weights,
                                      state.conv_in,
                                      chunks,
                                      Rows(shape, zxbcdt),
                                      {shape.length, state.taken_at()},
                                      shape.d_inner,
                                      shape.conv_channels(),
                                      shape.heads(),
                                      shape.conv_width};
      const dim3 grid(static_cast<unsigned>(shape.sequences() * arguments.cut.count()));
      return launch(chunks_kernel<T, N>, grid, kThreads, sizeof(BcTile<N>), stream, arguments);
    });
  });
}

}  // namespace bsm::kernels
