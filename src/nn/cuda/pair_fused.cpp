#include "nn/cuda/pair_fused.h"

#include <c10/core/DeviceGuard.h>
#include <torch/torch.h>

#include <algorithm>
#include <string>
#include <vector>

#include "nn/cuda/cuda_error.h"
#include "nn/cuda/mixer_fused.h"
#include "nn/stages.h"

namespace bsm {

using kernels::PairShape;
using kernels::StreamView;
using torch::Tensor;

namespace {

void check(cudaError_t error, const char* kernel) {
  if (error != cudaSuccess) throw_cuda_error(error, std::string("running the block's ") + kernel + " kernel");
}

kernels::NormedRows rows_of(const NormedStream& normed) {
  if (!normed.xn.defined()) return {};
  return {normed.xn.data_ptr(), normed.rms.data_ptr<float>()};
}

const float* floats(const Tensor& tensor) { return tensor.defined() ? tensor.data_ptr<float>() : nullptr; }

/// Buffers between the kernels, for as many tokens as a slice has at most.
struct Workspace {
  Tensor xn, rms, projected, bc, scores, decays, u, squares, products;

  Workspace(const PairShape& s, const torch::TensorOptions& options, bool short_sequences,
            bool merges_products) {
    const auto real = options.dtype(torch::kFloat32);
    const int64_t n = s.tokens();
    xn = torch::empty({n, s.dim}, options);
    rms = torch::empty({n}, real);
    projected = torch::empty({n, s.projected_width()}, options);
    if (!short_sequences) {
      const int64_t chunks = s.directions * s.sequences() * kernels::pair_most_chunks(s);
      bc = torch::empty({chunks, kernels::pair_bc_elements(s)}, options);
      scores = torch::empty({chunks, kernels::pair_score_elements()}, options);
      decays = torch::empty({chunks, s.heads(), kernels::pair_decays_bytes()}, options.dtype(torch::kUInt8));
    }
    u = torch::empty({s.directions * n * s.d_inner}, options);
    squares = torch::empty({s.directions, n, s.heads()}, real);
    if (!merges_products) products = torch::empty({(1 + s.directions) * n * s.dim}, options);
  }
};

/// One slice of sequences through the whole block.
class PairRun {
 public:
  PairRun(const PairWeightsCuda& weights, const PairShape& largest, bool keeps_state, cudaStream_t stream)
      : weights_(weights),
        scan_weights_{floats(weights.taps), floats(weights.conv_bias), floats(weights.dt_bias),
                      floats(weights.A_log), floats(weights.D)},
        short_(largest.length <= kernels::kPairShortLength && !keeps_state),
        workspace_(largest, weights.in.options(), short_, weights.own_products),
        stream_(stream) {}

  /// @param normed  of the slice's tokens; its own buffers where undefined
  void project(const PairShape& s, const StreamView& x, const NormedStream& normed) {
    normed_ = normed;
    if (!normed_.xn.defined()) {
      normed_ = {workspace_.xn.narrow(0, 0, s.tokens()), workspace_.rms.narrow(0, 0, s.tokens())};
      check(kernels::launch_pair_norm(s, x, rows_of(normed_), stream_), "norm");
    }
    Tensor projected = workspace_.projected.narrow(0, 0, s.tokens());
    if (weights_.own_products) {
      check(kernels::launch_pair_project(s, normed_.xn.data_ptr(), weights_.in.data_ptr(),
                                         projected.data_ptr(), stream_),
            "input projection");
    } else {
      torch::mm_out(projected, normed_.xn, weights_.in.t());
    }
  }

  void scan(const PairShape& s, const kernels::CarriedState& state) {
    void* projected = workspace_.projected.data_ptr();
    float* squares = workspace_.squares.data_ptr<float>();
    if (short_) {
      check(kernels::launch_pair_scan_short(s, projected, scan_weights_, workspace_.u.data_ptr(), squares,
                                            stream_),
            "short scan");
      return;
    }
    const kernels::ChunkBuffers chunks{workspace_.bc.data_ptr(), workspace_.scores.data_ptr(),
                                       workspace_.decays.data_ptr()};
    check(kernels::launch_pair_chunks(s, projected, scan_weights_, state, chunks, stream_), "convolution");
    check(kernels::launch_pair_scan(s, projected, scan_weights_, chunks, state, workspace_.u.data_ptr(),
                                    squares, stream_),
          "scan");
  }

  /// @param normed  of the slice's tokens of y, or undefined
  void merge(const PairShape& s, const StreamView& x, const StreamView& y, const NormedStream& normed) {
    const int64_t n = s.tokens();
    const kernels::MergeInputs in{normed_.xn.data_ptr(),   floats(normed_.rms),
                                  workspace_.u.data_ptr(), floats(workspace_.squares),
                                  weights_.out.data_ptr(), floats(weights_.bias)};
    if (weights_.own_products) {
      check(kernels::launch_pair_merge_products(s, in, x, y, rows_of(normed), stream_), "merge");
      return;
    }
    Tensor products =
        workspace_.products.narrow(0, 0, (1 + s.directions) * n * s.dim).view({1 + s.directions, n, s.dim});
    Tensor residual = products[0], of_directions = products.narrow(0, 1, s.directions);
    torch::mm_out(residual, normed_.xn, weights_.out.narrow(0, 0, s.dim));
    torch::bmm_out(
        of_directions,
        workspace_.u.narrow(0, 0, s.directions * n * s.d_inner).view({s.directions, n, s.d_inner}),
        weights_.out.narrow(0, s.dim, s.directions * s.d_inner).view({s.directions, s.d_inner, s.dim}));
    check(kernels::launch_pair_merge(s, products.data_ptr(), in, x, y, rows_of(normed), stream_), "merge");
  }

  /// The convolution's state after `at` elements, [S, conv_width - 1, channels].
  Tensor conv_state(const PairShape& s, const Tensor& before, int64_t at) {
    kernels::MixerShape shape;
    shape.scalar = s.scalar;
    shape.outer = s.outer, shape.inner = s.inner, shape.length = s.length;
    shape.d_inner = s.d_inner, shape.state = s.state, shape.head_dim = s.head_dim,
    shape.conv_width = s.conv_width;
    const int64_t width = s.projected_width();
    const kernels::Strided zxbcdt{workspace_.projected.data_ptr(), s.length * s.inner * width,
                                  s.inner * width, width};
    const Tensor after =
        torch::empty({s.sequences(), s.conv_width - 1, s.channels()}, weights_.taps.options());
    check(kernels::launch_conv_state(shape, zxbcdt, floats(before), static_cast<int>(at),
                                     after.data_ptr<float>(), stream_),
          "convolution state");
    return after;
  }

 private:
  const PairWeightsCuda& weights_;
  kernels::ScanWeights scan_weights_;
  bool short_;
  Workspace workspace_;
  cudaStream_t stream_;
  NormedStream normed_;  ///< what project() read
};

/// Rows of directions, padded at the front to kMaxConvWidth taps and transposed: [kMaxConvWidth, channels].
Tensor taps_of(const MixerWeights& core) {
  const Tensor weight = core.conv_weight.t();
  return torch::cat(
      {torch::zeros({kernels::kMaxConvWidth - weight.size(0), weight.size(1)}, weight.options()), weight});
}

/// Slices of 64 rows of a matrix [K, D], transposed and permuted as kernels::MergeInputs::weights.
Tensor tiles_of(const Tensor& matrix) {
  const int64_t D = matrix.size(1);
  const Tensor slices = matrix.view({-1, 64, D}).transpose(1, 2).reshape({-1, D / 8, 8, 8, 8});
  const Tensor rows = torch::arange(8, matrix.options().dtype(torch::kInt64)).view({8, 1});
  const Tensor pieces = rows.bitwise_xor(rows.t()).view({1, 1, 8, 8, 1});
  return slices.gather(3, pieces.expand(slices.sizes())).reshape({-1, D, 64}).contiguous();
}

StreamView view_of(const Tensor& x) { return {x.data_ptr<float>(), x.stride(0), x.stride(1), x.stride(2)}; }

}  // namespace

PairWeightsCuda pair_weights_cuda(const PairWeights& w, const MixerSizes& sizes, torch::Dtype dtype) {
  std::vector<const MixerWeights*> cores = {&w.core_f};
  std::vector<Tensor> outs = {w.out_f};
  if (w.both_directions()) {
    cores.push_back(&w.core_b);
    outs.push_back(w.out_b);
  }
  PairShape shape;
  shape.d_inner = static_cast<int>(sizes.d_inner), shape.state = static_cast<int>(sizes.state);
  shape.head_dim = static_cast<int>(sizes.head_dim);
  const int64_t E = sizes.in_proj_width(), padding = shape.slab() - E;
  shape.dim = static_cast<int>(w.in.size(0));
  std::vector<Tensor> in, out = {w.residual}, taps, conv_bias, dt_bias, A_log, D;
  for (size_t d = 0; d < cores.size(); ++d) {
    Tensor slab = torch::constant_pad_nd(w.in.narrow(1, static_cast<int64_t>(d) * E, E), {0, padding});
    slab.narrow(1, 0, sizes.d_inner) *= 0.5;  // z: what goes into a SiLU is halved, see ScanWeights
    in.push_back(slab);
    out.push_back(cores[d]->norm_weight.unsqueeze(1) * outs[d]);
    taps.push_back(taps_of(*cores[d]) * 0.5);
    conv_bias.push_back(cores[d]->conv_bias * 0.5);
    dt_bias.push_back(cores[d]->dt_bias);
    A_log.push_back(cores[d]->A_log);
    D.push_back(cores[d]->D);
  }
  const Tensor out_matrix = torch::cat(out).to(dtype);
  const c10::DeviceGuard guard(out_matrix.device());
  shape.group_products = kernels::gpu_has_group_products();
  const bool own_products = kernels::pair_has_own_products(shape);
  return {sizes,
          static_cast<int>(cores.size()),
          torch::cat(in, 1).t().to(dtype).contiguous(),
          own_products ? tiles_of(out_matrix) : out_matrix,
          shape.group_products,
          own_products,
          w.bias.to(torch::kFloat32).contiguous(),
          torch::stack(taps).contiguous(),
          torch::stack(conv_bias).contiguous(),
          torch::stack(dt_bias).contiguous(),
          torch::stack(A_log).contiguous(),
          torch::stack(D).contiguous()};
}

PairShape pair_shape(const Tensor& x, const PairWeightsCuda& weights) {
  PairShape shape;
  shape.scalar =
      weights.in.scalar_type() == torch::kFloat16 ? kernels::Scalar::kFloat16 : kernels::Scalar::kBfloat16;
  shape.directions = weights.directions;
  shape.outer = x.size(0);
  shape.length = static_cast<int>(x.size(1));
  shape.inner = x.size(2);
  shape.dim = static_cast<int>(x.size(3));
  shape.d_inner = static_cast<int>(weights.sizes.d_inner);
  shape.state = static_cast<int>(weights.sizes.state);
  shape.head_dim = static_cast<int>(weights.sizes.head_dim);
  shape.conv_width = static_cast<int>(weights.sizes.conv_width);
  shape.group_products = weights.group_products;
  return shape;
}

ResidualStream pair_block_fused(const ResidualStream& stream, const PairWeightsCuda& weights,
                                MixerState* state, int64_t state_at, int64_t slice_bytes) {
  const Tensor& x = stream.x;
  TORCH_CHECK(x.dim() == 4 && x.is_contiguous() && x.scalar_type() == torch::kFloat32 && x.numel() > 0 &&
                  x.size(3) == weights.in.size(1),
              "pair_block_fused: expected contiguous float32 [outer, L, inner, ", weights.in.size(1),
              "], got ", x.sizes());
  const c10::DeviceGuard guard(x.device());
  const torch::NoGradGuard no_grad;
  const PairShape whole = pair_shape(x, weights);
  const Tensor y = torch::empty_like(x);

  // Slices along the outer dimension have neighbouring tokens, but one of it can be too large. A stream is
  // short: it goes in one piece.
  const int64_t bytes = whole.tokens() * whole.projected_width() * weights.in.element_size();
  const bool along_outer = bytes / whole.outer <= slice_bytes || whole.outer > whole.inner;
  const int64_t count = along_outer ? whole.outer : whole.inner;
  const int64_t bytes_each = bytes / count;
  const int64_t at_once = state != nullptr ? count : std::clamp<int64_t>(slice_bytes / bytes_each, 1, count);
  const auto slice_shape = [&](int64_t sequences) {
    PairShape shape = whole;
    (along_outer ? shape.outer : shape.inner) = sequences;
    return shape;
  };

  const bool neighbours = along_outer || at_once == count;  // the tokens of a slice
  NormedStream normed;                                      // of y
  if (neighbours)
    normed = {torch::empty({whole.tokens(), whole.dim}, weights.in.options()),
              torch::empty({whole.tokens()}, x.options())};
  const auto tokens_of = [&](const NormedStream& all, int64_t begin, int64_t count) {
    if (!neighbours || !all.xn.defined()) return NormedStream{};
    return NormedStream{all.xn.narrow(0, begin, count), all.rms.narrow(0, begin, count)};
  };
  PairRun run(weights, slice_shape(at_once), state != nullptr, current_stream(x));
  for (int64_t begin = 0; begin < count; begin += at_once) {
    const int64_t sequences = std::min(at_once, count - begin);
    const PairShape shape = slice_shape(sequences);
    const int dimension = along_outer ? 0 : 2;
    const StreamView from = view_of(x.narrow(dimension, begin, sequences));
    const int64_t first_token = begin * (whole.tokens() / count);  // where tokens are neighbours
    run.project(shape, from, tokens_of(stream.normed, first_token, shape.tokens()));
    stage_done(Stage::kProjections);
    if (state == nullptr) {
      run.scan(shape, {});
    } else {
      const auto contiguous = [](const Tensor& t) { return t.defined() ? t.contiguous() : t; };
      const MixerState before{contiguous(state->conv), contiguous(state->ssm)};
      kernels::CarriedState carried{floats(before.conv), floats(before.ssm)};
      if (state_at > 0) {
        state->ssm = torch::empty({shape.sequences(), shape.heads(), shape.head_dim, shape.state},
                                  weights.taps.options());
        state->conv = run.conv_state(shape, before.conv, state_at);
        carried.ssm_out = state->ssm.data_ptr<float>();
        carried.state_at = static_cast<int>(state_at);
      }
      run.scan(shape, carried);
    }
    stage_done(Stage::kMixerCore);
    run.merge(shape, from, view_of(y.narrow(dimension, begin, sequences)),
              tokens_of(normed, first_token, shape.tokens()));
    stage_done(Stage::kMerge);
  }
  return {y, normed};
}

}  // namespace bsm
