#include "nn/blocks.h"

#include <optional>

#include "nn/cpu/pair_cpu.h"
#include "nn/cuda/pair_cuda.h"
#include "nn/pair_weights.h"
#include "nn/stages.h"

namespace bsm {

using torch::Tensor;

Affine::Affine(at::IntArrayRef weight_shape, int64_t bias_size, int64_t fan_in) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  weight = register_parameter("weight", torch::empty(weight_shape).uniform_(-bound, bound));
  if (bias_size > 0) bias = register_parameter("bias", torch::empty({bias_size}).uniform_(-bound, bound));
}

Scale::Scale(const char* name, int64_t size) { values = register_parameter(name, torch::ones({size})); }

// The norm is taken by one fused reduction: no temporary of the size of x, unlike x.square().mean().
Tensor unit_norm(const Tensor& x) { return x / x.norm(2, {-1}, true).clamp_min(1e-12); }

Tensor rms_norm(const Tensor& x) {
  const double dim = static_cast<double>(x.size(-1));
  return x * (x.norm(2, {-1}, true).square() / dim + 1e-5).rsqrt();
}

namespace {

/// The stored parameters of one Mamba2 mixer and of the norm before it.
struct MixerBranch : torch::nn::Module {
  struct Mixer : torch::nn::Module {
    Tensor dt_bias, A_log, D;
    std::shared_ptr<Affine> in_proj, conv1d, out_proj;
    std::shared_ptr<Scale> norm;

    explicit Mixer(const ModelConfig& config) {
      const int64_t heads = config.heads();
      // Start values of Mamba2: step sizes log-uniform in [1e-3, 1e-1], stored through the inverse of
      // softplus.
      const Tensor dt =
          torch::exp(torch::empty({heads}).uniform_(std::log(1e-3), std::log(1e-1))).clamp_min(1e-4);
      dt_bias = register_parameter("dt_bias", dt + torch::log(-torch::expm1(-dt)));
      A_log = register_parameter("A_log", torch::log(torch::empty({heads}).uniform_(1, 16)));
      D = register_parameter("D", torch::ones({heads}));
      in_proj = register_module(
          "in_proj",
          std::make_shared<Affine>(at::IntArrayRef{config.in_proj_width(), config.dim}, 0, config.dim));
      const int width = config.mamba2.conv_width;
      conv1d = register_module("conv1d",
                               std::make_shared<Affine>(at::IntArrayRef{config.conv_channels(), 1, width},
                                                        config.conv_channels(), width));
      norm = register_module("norm", std::make_shared<Scale>("weight", config.d_inner()));
      out_proj = register_module(
          "out_proj",
          std::make_shared<Affine>(at::IntArrayRef{config.dim, config.d_inner()}, 0, config.d_inner()));
    }
  };

  std::shared_ptr<Scale> norm;
  std::shared_ptr<Mixer> mixer;

  explicit MixerBranch(const ModelConfig& config) {
    norm = register_module("norm", std::make_shared<Scale>("weight", config.dim));
    mixer = register_module("mixer", std::make_shared<Mixer>(config));
  }

  /// in_proj with the norm's factors multiplied in: [E, D].
  Tensor scaled_in_proj() const { return mixer->in_proj->weight * norm->values; }

  MixerWeights core_weights() const {
    return {mixer->conv1d->weight.squeeze(1),
            mixer->conv1d->bias,
            mixer->dt_bias,
            mixer->A_log,
            mixer->D,
            mixer->norm->values};
  }
};

/// y = Linear(concat(f, g)) + x with f = Mamba2_fwd(norm_f(x)) + x and g its mirror image, multiplied out:
///   y = x (W_f + W_b) + core_f (out_f^T W_f) + core_b (out_b^T W_b) + bias + x,
/// where W_f, W_b [D, D] are the halves of `linear` and core_* end before out_proj. Both branches normalise x
/// alike but for their factors, so one product with [in_f; in_b] feeds both. The products of weights are tiny
/// beside those with activations (d_inner * D * D against tokens * d_inner * D), so training multiplies out
/// as well.
class Mamba2PairBlock : public AxisBlock {
 public:
  Mamba2PairBlock(const ModelConfig& config, Axis axis)
      : axis_(axis),
        sizes_{config.d_inner(), config.mamba2.state, config.mamba2.head_dim, config.mamba2.conv_width},
        both_(axis == Axis::kBand || config.time_direction == TimeDirection::kBoth),
        dim_(config.dim) {
    forward_ = std::make_shared<MixerBranch>(config);
    register_module("forward_blocks", torch::nn::ModuleList(forward_));
    if (both_) {
      backward_ = std::make_shared<MixerBranch>(config);
      register_module("backward_blocks", torch::nn::ModuleList(backward_));
    }
    // A ConvTranspose1d of kernel 1, whose fan_in PyTorch takes from its second dimension.
    linear_ = register_module(
        "linear", std::make_shared<Affine>(at::IntArrayRef{both_ ? 2 * dim_ : dim_, dim_, 1}, dim_, dim_));
  }

  ResidualStream forward(const ResidualStream& stream, MixerState* state, int64_t state_at) override {
    const Tensor& x = stream.x;
    const bool inference = !at::GradMode::is_enabled();
    const int64_t B = x.size(0), T = x.size(1), K = x.size(2);
    const std::vector<int64_t> shape =
        axis_ == Axis::kTime ? std::vector<int64_t>{B, T, K, dim_} : std::vector<int64_t>{B * T, K, 1, dim_};
    const Tensor sequences = x.view(shape);  // [outer, L, inner, D]
    if (inference && mixer_backend() == MixerBackend::kAuto) {
      if (prepared_cuda_) {
        const ResidualStream y =
            pair_block_cuda({sequences, stream.normed}, *prepared_cuda_, state, state_at);
        return {y.x.view(x.sizes()), y.normed};
      }
      if (prepared_cpu_) {
        pair_block_cpu(sequences, *prepared_cpu_, state, state_at);
        return {x, {}};
      }
    }
    return {
        plain(sequences, inference && prepared_ ? *prepared_ : fold(dtype_), state, state_at).view(x.sizes()),
        {}};
  }

  void set_compute_dtype(torch::Dtype dtype) override {
    dtype_ = dtype;
    discard_prepared();
  }

  void prepare_inference() override {
    torch::NoGradGuard no_grad;
    discard_prepared();
    if (mixer_backend() == MixerBackend::kAuto) {
      const PairWeights exact = fold(torch::kFloat32);
      prepared_cuda_ = prepare_pair_cuda(exact, sizes_, dtype_);
      prepared_cpu_ = prepare_pair_cpu(exact, sizes_, dtype_);
      if (prepared_cuda_ || prepared_cpu_) return;
    }
    PairWeights folded = fold(dtype_);
    for (MixerWeights* core : {&folded.core_f, &folded.core_b})
      for (Tensor* tensor :
           {&core->conv_weight, &core->conv_bias, &core->dt_bias, &core->A_log, &core->D, &core->norm_weight})
        if (tensor->defined()) *tensor = tensor->detach().contiguous();
    prepared_ = std::move(folded);
  }

  void discard_prepared() override {
    prepared_.reset();
    prepared_cuda_.reset();
    prepared_cpu_.reset();
  }

 private:
  /// In plain operators: differentiable, any device and dtype.
  Tensor plain(const Tensor& x, const PairWeights& w, MixerState* state, int64_t state_at) const {
    const int64_t outer = x.size(0), L = x.size(1), inner = x.size(2), E = sizes_.in_proj_width();
    const Tensor flat = x.view({-1, dim_});  // [S*L, D]
    const Tensor zxbcdt =
        rms_norm(flat).to(dtype_).matmul(w.in).view({outer, L, inner, -1});  // [.., E or 2E]
    stage_done(Stage::kProjections);
    const Tensor core_f =
        mixer_core(zxbcdt.narrow(3, 0, E), w.core_f, sizes_, Direction::kForward, state, state_at);

    Tensor y = torch::addmm(w.bias, flat.to(dtype_), w.residual);  // [S*L, D]
    y.addmm_(core_f.view({-1, sizes_.d_inner}), w.out_f);
    stage_done(Stage::kMerge);
    if (w.both_directions()) {
      const Tensor core_b = mixer_core(zxbcdt.narrow(3, E, E), w.core_b, sizes_, Direction::kBackward);
      y.addmm_(core_b.view({-1, sizes_.d_inner}), w.out_b);
    }
    // "+ x" is not folded into w.residual: the stream keeps float32 precision whatever the products compute
    // in.
    return flat + y;
  }

  /// Matrices lie in memory column by column: a GPU's products of 16 bits and TF32 take them faster so.
  PairWeights fold(torch::Dtype dtype) const {
    const auto by_columns = [&](const Tensor& matrix) { return matrix.t().to(dtype).contiguous().t(); };
    PairWeights folded;
    const Tensor linear = linear_->weight.squeeze(2);  // [2D, D]
    const Tensor W_f = linear.slice(0, 0, dim_);
    Tensor in = forward_->scaled_in_proj(), residual = W_f;
    folded.out_f = by_columns(forward_->mixer->out_proj->weight.t().matmul(W_f));
    folded.core_f = forward_->core_weights();
    if (both_) {
      const Tensor W_b = linear.slice(0, dim_);
      in = torch::cat({in, backward_->scaled_in_proj()}, 0);
      residual = residual + W_b;
      folded.out_b = by_columns(backward_->mixer->out_proj->weight.t().matmul(W_b));
      folded.core_b = backward_->core_weights();
    }
    folded.in = by_columns(in.t());
    folded.residual = by_columns(residual);
    folded.bias = linear_->bias.to(dtype);
    return folded;
  }

  Axis axis_;
  MixerSizes sizes_;
  bool both_;
  int64_t dim_;
  torch::Dtype dtype_ = torch::kFloat32;
  std::shared_ptr<MixerBranch> forward_, backward_;
  std::shared_ptr<Affine> linear_;
  std::optional<PairWeights> prepared_;
  std::shared_ptr<const PairWeightsCuda> prepared_cuda_;
  std::shared_ptr<const PairWeightsCpu> prepared_cpu_;
};

}  // namespace

std::shared_ptr<AxisBlock> make_axis_block(const ModelConfig& config, Axis axis) {
  if (config.kind == BlockKind::kTransformer) return make_transformer_block(config, axis);
  return std::make_shared<Mamba2PairBlock>(config, axis);
}

}  // namespace bsm
