// Convolution of x, scan, skip and gate of the float32 mixer core at inference. A block of threads owns two
// heads of one sequence, which share B and C, and carries their states from chunk to chunk; a warp has 16
// rows p of a state in its accumulators. While a chunk is multiplied, the inputs of the next one arrive.
#include "nn/cuda/mixer_infer.cuh"

namespace bsm::kernels {

namespace {

constexpr int kHeads = 2;

struct InferScanArguments {
  const float* in;  // column 0 of zxbcdt
  InferWeights weights;
  InferState state;
  InferBuffers chunks;
  float* u;
  Rows rows, u_rows;
  int64_t step, u_step;  // from an element to the next, in scan order
  InferChunks cut;
  int d_inner, channels, heads, width;
};

template <int P>
struct InferHead {
  /// Rows are padded by 4, so that the 16 pairs that half a warp reads (two rows apart) lie in different
  /// banks.
  static constexpr int kStride = P + 4;
  float M[kInferBlocks * 16 * 16];  ///< at first the scores
  InferDecays decays;
  float inputs[(kHaloInputs + kInferChunk) * P];
  float x[kInferChunk * kStride];
  float z[kInferChunk * kStride];
  float taps[kMaxConvWidth + 1][P];  ///< the last row is the bias
};

template <int N, int P>
struct InferShared {
  static constexpr int kElements = kInferChunk * N;
  float B[kElements], C[kElements];
  InferHead<P> heads[kHeads];
};

/// Starts copying what is in one piece and 16-byte aligned.
template <int Floats, int Threads>
__device__ inline void load_piece(float* to, const float* from, int thread) {
#pragma unroll
  for (int at = 0; at < Floats; at += 4 * Threads)
    if (at + 4 * Threads <= Floats || at + 4 * thread < Floats)
      copy_async_16(to + at + 4 * thread, from + at + 4 * thread, true);
}

/// The warps of one head.
template <typename T, int N, int P>
class HeadScan {
 public:
  static constexpr int kThreads = 2 * P;  ///< of a head

  __device__ HeadScan(const InferScanArguments& a, InferShared<N, P>& shared, int64_t sequence, int head)
      : a_(a),
        all_(shared),
        own_(shared.heads[static_cast<int>(threadIdx.x) / kThreads]),
        sequence_(sequence),
        head_(head),

        in_(a.in + a.rows.sequence(sequence) + a.rows.element(0) + head * P),
        u_(a.u + a.u_rows.sequence(sequence) + a.u_rows.element(0) + head * P + first_p()) {}

  __device__ void load_taps() {
    for (int i = thread(); i < (kMaxConvWidth + 1) * P; i += kThreads) {
      const int k = i / P, channel = head_ * P + i % P;
      own_.taps[k][i % P] = k < kMaxConvWidth ? tap_of(a_.weights.conv_weight, a_.width, channel, k)
                                              : a_.weights.conv_bias[channel];
    }
  }

  __device__ void load_state() {
    if (a_.state.ssm_in == nullptr) return;
    const float* from = a_.state.ssm_in + state_offset();
#pragma unroll
    for (int i = 0; i < N / 4; ++i) {
      const float2 pair = load_pair(from + i % 2 * N + i / 2 * 8);
      h_[i / 2].r[2 * (i % 2)] = pair.x;
      h_[i / 2].r[2 * (i % 2) + 1] = pair.y;
    }
  }

  __device__ void store_state() {
    float* to = a_.state.ssm_out + state_offset();
#pragma unroll
    for (int i = 0; i < N / 4; ++i)
      store_pair(to + i % 2 * N + i / 2 * 8, h_[i / 2].r[2 * (i % 2)], h_[i / 2].r[2 * (i % 2) + 1]);
  }

  /// Starts copying the inputs of the convolution.
  __device__ void stage_inputs(int chunk) {
    constexpr int kPacks = P / 4, kPass = kThreads / kPacks, kRows = kHaloInputs + kInferChunk;
    const int begin = a_.cut.begin(chunk), own = thread();
    const int column = own % kPacks * 4, own_row = own / kPacks;
    const float* from = in_ + a_.d_inner + (begin - kHaloInputs + own_row) * a_.step + column;
    float* to = own_.inputs + own_row * P + column;
#pragma unroll
    for (int row = 0; row < kRows; row += kPass, from += kPass * a_.step) {
      const int l = begin - kHaloInputs + row + own_row;
      if (l >= 0 && (row + kPass <= kRows || row + own_row < kRows))
        copy_async_16(to + row * P, l < a_.rows.length ? from : in_, l < a_.rows.length);
    }
    if (begin >= kHaloInputs) return;
#pragma unroll 1
    for (int i = own; i < kHaloInputs * P; i += kThreads) {  // what comes before the first element
      const int l = begin - kHaloInputs + i / P;
      if (l >= 0) continue;
      const float* stored = stored_input(a_.state.conv_in, sequence_, l, a_.width, a_.channels);
      own_.inputs[i] = stored != nullptr ? stored[head_ * P + i % P] : 0.0f;
    }
  }

  /// Starts copying scores and decays.
  __device__ void stage_matrices(int64_t chunk_of_all) {
    const auto& common = reinterpret_cast<const InferCommon<N>*>(a_.chunks.common)[chunk_of_all];
    load_piece<kInferBlocks * 16 * 16, kThreads>(own_.M, common.scores, thread());
    load_piece<2 * kInferChunk, kThreads>(
        own_.decays.log_decay, a_.chunks.decays + (chunk_of_all * a_.heads + head_) * 2 * kInferChunk,
        thread());
  }

  /// Starts copying the inputs of the gate.
  __device__ void stage_gate(int begin, int rows) {
    constexpr int kPacks = P / 4, kPass = kThreads / kPacks;
    const int own = thread(), column = own % kPacks * 4, own_row = own / kPacks;
    const float* from = in_ + (begin + own_row) * a_.step + column;
    float* to = own_.z + own_row * InferHead<P>::kStride + column;
#pragma unroll
    for (int row = 0; row < kInferChunk; row += kPass, from += kPass * a_.step)
      if (row + own_row < rows) copy_async_16(to + row * InferHead<P>::kStride, from, true);
  }

  /// x, and M from the scores.
  __device__ void prepare() {
    constexpr int kPairs = P / 2, kRows = kInferChunk / (kThreads / kPairs);
    const int own = thread(), column = own % kPairs * 2, first = own / kPairs * kRows;
    float2 taps[kMaxConvWidth], inputs[kRows + kHaloInputs];
#pragma unroll
    for (int k = 0; k < kMaxConvWidth; ++k) taps[k] = load_pair(own_.taps[k] + column);
    const float2 bias = load_pair(own_.taps[kMaxConvWidth] + column);
#pragma unroll
    for (int r = 0; r < kRows + kHaloInputs; ++r)
      inputs[r] = load_pair(own_.inputs + (first + r) * P + column);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float2 x = convolve_pair(taps, bias, inputs + r);
      store_pair(own_.x + (first + r) * InferHead<P>::kStride + column, x.x, x.y);
    }

    for (int fragment = own / kWarp; fragment < 2 * kInferBlocks; fragment += kThreads / kWarp) {
      const int block = fragment / 2, t = 16 * infer_block_t(block) + 8 * (fragment % 2) + tile_row();
      const int s = 16 * infer_block_s(block) + tile_column();
      float* lane = own_.M + (fragment * kWarp + lane_id()) * 4;
      const float log_t = own_.decays.log_decay[t];
      const Pack<float, 4> score = load_pack<4>(lane);
      float m[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int source = s + e % 2 + 8 * (e / 2);
        m[e] = source <= t ? score.v[e] * exp2_approximate(log_t - own_.decays.from[source]) : 0.0f;
      }
      store_pack<4>(lane, m);
    }
  }

  /// Outputs before skip and gate: what earlier chunks add, exp(E_t) h C_t, through the state; none at the
  /// start.
  __device__ void output_of_state(bool starts_at_zero) {
#pragma unroll
    for (Tile& tile : y_) tile = {};
    if (starts_at_zero) return;
#pragma unroll
    for (int k = 0; k < N / 16; ++k) {
      FragmentA<T> h;
#pragma unroll
      for (int i = 0; i < 8; ++i) h.r[i] = as_factor<T>(h_[2 * k + i / 4].r[i % 4]);
#pragma unroll
      for (int t = 0; t < kInferChunk / 8; ++t)
        multiply_add(y_[t], h, fragment_of<T>(all_.C, t * (N / 16) + k));
    }
#pragma unroll
    for (int t = 0; t < kInferChunk / 8; ++t) {
      const float2 log_t = load_pair(own_.decays.log_decay + 8 * t + tile_column());
#pragma unroll
      for (int i = 0; i < 4; ++i) y_[t].r[i] *= exp2_approximate(i % 2 == 0 ? log_t.x : log_t.y);
    }
  }

  /// Adds to the outputs what elements of the same chunk do. It is as exact as float32 even where T is Tf32:
  /// nearly all of the error would come from here, for a tenth of the products.
  __device__ void add_output_of_chunk() {
#pragma unroll
    for (int block = 0; block < 2; ++block) {
      const RowPairs rows(*this, block);
      FragmentA<float> x;
#pragma unroll
      for (int i = 0; i < 8; ++i) x.r[i] = rows.value(i);
#pragma unroll
      for (int t = 2 * block; t < kInferChunk / 8; ++t)
        multiply_add(y_[t], x, fragment_of<float>(own_.M, t < 2 ? t : 2 * (1 + block) + t - 2));
    }
  }

  /// The state after the chunk.
  __device__ void advance_state() {
    const float end = own_.decays.log_decay[kInferChunk - 1], decay = exp2_approximate(end);
#pragma unroll
    for (Tile& tile : h_)
#pragma unroll
      for (float& value : tile.r) value *= decay;
#pragma unroll
    for (int block = 0; block < 2; ++block) {
      const RowPairs rows(*this, block);
      FragmentA<T> x;
#pragma unroll
      for (int i = 0; i < 8; ++i)
        x.r[i] = as_factor<T>(
            rows.value(i) *
            exp2_approximate(end - own_.decays.from[16 * block + tile_column() + i % 2 + i / 4 * 8]));
#pragma unroll
      for (int n = 0; n < N / 8; ++n) multiply_add(h_[n], x, fragment_of<T>(all_.B, block * (N / 8) + n));
    }
  }

  /// u = (y + D x) SiLU(z).
  __device__ void store_gated(int begin, int rows) {
    const float skip = a_.weights.D[head_];
    float* u = u_ + (begin + tile_column()) * a_.u_step;
#pragma unroll
    for (int i = 0; i < kInferChunk / 4; ++i) {
      const int later = 8 * (i / 2) + i % 2, t = tile_column() + later;
      if (t >= rows) continue;
      const float2 x = load_pair(at(own_.x, t)), z = load_pair(at(own_.z, t));
      const Tile& y = y_[i / 2];
      store_pair(u + later * a_.u_step, (y.r[i % 2] + skip * x.x) * silu(z.x),
                 (y.r[2 + i % 2] + skip * x.y) * silu(z.y));
    }
  }

 private:
  /// Of the head's threads. Addresses that follow from it are made again for each chunk: in registers, they
  /// would crowd out the factors of the products.
  static __device__ int thread() { return static_cast<int>(fresh(threadIdx.x) % kThreads); }
  /// Rows 2g and 2g + 1 of the warp's 16 are rows g and g + 8 of the tiles: pairs in memory.
  __device__ int first_p() const {
    return static_cast<int>(threadIdx.x % kThreads / kWarp) * 16 + 2 * tile_row();
  }
  __device__ const float* at(const float* rows, int element) const {
    return rows + element * InferHead<P>::kStride + first_p();
  }
  /// x^T of 16 elements as a FragmentA.
  struct RowPairs {
    float2 pairs[4];  // of the elements 2q, 2q + 1, 2q + 8, 2q + 9
    __device__ RowPairs(const HeadScan& scan, int block) {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        pairs[e] = load_pair(scan.at(scan.own_.x, 16 * block + tile_column() + e % 2 + e / 2 * 8));
    }
    __device__ float value(int i) const {
      const float2& pair = pairs[i / 4 * 2 + i % 2];
      return i / 2 % 2 == 0 ? pair.x : pair.y;
    }
  };
  template <typename F>
  static __device__ FragmentB<F> fragment_of(const float* matrix, int fragment) {
    const Pack<float, 4> values = load_pack<4>(matrix + (fragment * kWarp + lane_id()) * 4);
    FragmentB<F> b;
#pragma unroll
    for (int i = 0; i < 4; ++i) b.r[i] = values.v[i];
    return b;
  }
  /// Of a lane's first pair of the state.
  __device__ int64_t state_offset() const {
    return ((sequence_ * a_.heads + head_) * P + first_p()) * N + tile_column();
  }

  const InferScanArguments& a_;
  InferShared<N, P>& all_;
  InferHead<P>& own_;
  int64_t sequence_;
  int head_;
  const float* in_;  // of the first element and the head: z; d_inner on, x
  float* u_;         // of the first element and this lane's rows
  Tile h_[N / 8], y_[kInferChunk / 8];
};

template <typename T, int N, int P>
__global__ void __launch_bounds__(kHeads* HeadScan<T, N, P>::kThreads, std::is_same_v<T, float> ? 1 : 2)
    infer_scan_kernel(const __grid_constant__ InferScanArguments a) {
  constexpr int kThreads = HeadScan<T, N, P>::kThreads;
  auto& shared = *reinterpret_cast<InferShared<N, P>*>(dynamic_shared());
  const int pairs = (a.heads + kHeads - 1) / kHeads, thread = static_cast<int>(threadIdx.x);
  const int64_t sequence = blockIdx.x / pairs;
  const int head = static_cast<int>(blockIdx.x % pairs) * kHeads + thread / kThreads;
  const bool works = head < a.heads;
  const int chunks = a.cut.count();
  HeadScan<T, N, P> scan(a, shared, sequence, head);
  const auto stage_matrices = [&](int chunk) {
    const int64_t chunk_of_all = sequence * chunks + chunk;
    const auto& common = reinterpret_cast<const InferCommon<N>*>(a.chunks.common)[chunk_of_all];
    load_piece<2 * kInferChunk * N, kHeads * kThreads>(shared.B, common.B, thread);
    if (works) scan.stage_matrices(chunk_of_all);
  };

  stage_matrices(0);
  if (works) {
    scan.stage_inputs(0);
    scan.load_taps();
    scan.load_state();
  }
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int begin = a.cut.begin(chunk), end = a.cut.end(chunk);
    const bool last = chunk + 1 == chunks, taken = a.state.ssm_out != nullptr && end == a.state.state_at;
    copy_async_wait();
    __syncthreads();
    if (works) scan.stage_gate(begin, end - begin);
    copy_async_commit();
    if (works) scan.prepare();
    __syncthreads();
    if (works && !last) scan.stage_inputs(chunk + 1);
    copy_async_commit();
    if (works) {
      scan.output_of_state(chunk == 0 && a.state.ssm_in == nullptr);
      scan.add_output_of_chunk();
      if (!last || taken) scan.advance_state();
      if (taken) scan.store_state();
    }
    copy_async_wait_but<1>();  // for the gate, not for the next inputs
    __syncthreads();
    if (!last) stage_matrices(chunk + 1);
    if (works) scan.store_gated(begin, end - begin);
  }
}

}  // namespace

cudaError_t launch_infer_scan(const MixerShape& shape, const Strided& zxbcdt, const InferWeights& weights,
                              const InferBuffers& chunks, const InferState& state, float* u,
                              cudaStream_t stream) {
  return with_products(shape, [&](auto scalar) {
    using T = decltype(scalar);
    return with_sizes(shape.state, shape.head_dim, [&](auto n, auto p) {
      constexpr int N = decltype(n)::value, P = decltype(p)::value;
      const Strided u_rows{u, int64_t{shape.length} * shape.inner * shape.d_inner,
                           shape.inner * shape.d_inner, shape.d_inner};
      const int64_t sign = shape.reversed ? -1 : 1;
      const InferScanArguments arguments{static_cast<const float*>(zxbcdt.data),
                                         weights,
                                         state,
                                         chunks,
                                         u,
                                         Rows(shape, zxbcdt),
                                         Rows(shape, u_rows),
                                         sign * zxbcdt.stride_length,
                                         sign * u_rows.stride_length,
                                         {shape.length, state.taken_at()},
                                         shape.d_inner,
                                         shape.conv_channels(),
                                         shape.heads(),
                                         shape.conv_width};
      const dim3 grid(static_cast<unsigned>(shape.sequences() * ((shape.heads() + kHeads - 1) / kHeads)));
      return launch(infer_scan_kernel<T, N, P>, grid, kHeads * HeadScan<T, N, P>::kThreads,
                    sizeof(InferShared<N, P>), stream, arguments);
    });
  });
}

}  // namespace bsm::kernels
