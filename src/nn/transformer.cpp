// The block of the BS-RoFormer baseline (arXiv 2309.02612): one pre-norm transformer layer with rotary
// embedding and a gate per head, without output norm.
#include <torch/torch.h>

#include "nn/attention.h"
#include "nn/blocks.h"
#include "nn/stages.h"

namespace bsm {

using torch::Tensor;

namespace {

constexpr double kDropout = 0.1;
/// Rotary position embedding. `freqs` is stored with the weights but not trained.
struct RotaryEmbed : torch::nn::Module {
  Tensor freqs;  ///< [head_dim / 2], radians per position

  explicit RotaryEmbed(int64_t head_dim) {
    const Tensor exponent = torch::arange(0, head_dim, 2, torch::kFloat32) / static_cast<double>(head_dim);
    freqs = register_buffer("freqs", torch::pow(10000.0, -exponent));
  }

  /// Turns neighbouring pairs of the last dimension by position * freqs, in float32.
  /// @param x [S, heads, L, head_dim]
  Tensor rotate(const Tensor& x) const {
    const int64_t S = x.size(0), heads = x.size(1), L = x.size(2);
    const Tensor angle = torch::outer(torch::arange(L, freqs.options()), freqs);  // [L, head_dim / 2]
    const Tensor cos = angle.cos(), sin = angle.sin();
    const auto pair = x.to(torch::kFloat32).reshape({S, heads, L, -1, 2}).unbind(-1);
    const Tensor turned = torch::stack({pair[0] * cos - pair[1] * sin, pair[1] * cos + pair[0] * sin}, -1);
    return turned.flatten(-2).to(x.scalar_type());
  }
};

struct Attention : torch::nn::Module {
  std::shared_ptr<Scale> norm;
  std::shared_ptr<Affine> to_qkv, to_gates, to_out;
  std::shared_ptr<RotaryEmbed> rotary_embed;

  explicit Attention(const ModelConfig& config) : heads_(config.transformer.heads) {
    const int64_t D = config.dim, head_dim = config.transformer.head_dim, inner = heads_ * head_dim;
    norm = register_module("norm", std::make_shared<Scale>("gamma", D));
    to_qkv = register_module("to_qkv", std::make_shared<Affine>(at::IntArrayRef{3 * inner, D}, 0, D));
    to_gates = register_module("to_gates", std::make_shared<Affine>(at::IntArrayRef{heads_, D}, heads_, D));
    to_out = std::make_shared<Affine>(at::IntArrayRef{D, inner}, 0, inner);
    register_module("to_out", torch::nn::ModuleList(to_out));
    rotary_embed = register_module("rotary_embed", std::make_shared<RotaryEmbed>(head_dim));
  }

  /// @param x [S, L, D] float32  @return the same shape
  Tensor forward(const Tensor& x, torch::Dtype dtype) {
    const int64_t S = x.size(0), L = x.size(1);
    const double dropout = is_training() ? kDropout : 0.0;
    const Tensor normed = normalise(x, norm->values).to(dtype);
    const Tensor qkv =
        torch::linear(normed, to_qkv->weight.to(dtype)).view({S, L, 3, heads_, -1}).permute({2, 0, 3, 1, 4});
    stage_done(Stage::kProjections);
    const Tensor attended = attention(rotary_embed->rotate(qkv[0]), rotary_embed->rotate(qkv[1]), qkv[2],
                                      dropout);  // [S, heads, L, head_dim]
    stage_done(Stage::kAttention);
    const Tensor gates =
        torch::linear(normed, to_gates->weight.to(dtype), to_gates->bias.to(dtype)).sigmoid();
    const Tensor gated = attended * gates.transpose(1, 2).unsqueeze(-1);
    const Tensor out = torch::linear(gated.transpose(1, 2).reshape({S, L, -1}), to_out->weight.to(dtype));
    return torch::dropout(out, kDropout, is_training());
  }

  static Tensor normalise(const Tensor& x, const Tensor& gamma) {
    return unit_norm(x) * (gamma * std::sqrt(static_cast<double>(x.size(-1))));
  }

 private:
  int64_t heads_;
};

/// FF(x) = Linear(GELU(Linear(norm(x)))); children are named by their place in the published module list.
struct FeedForward : torch::nn::Module {
  std::shared_ptr<Scale> norm;
  std::shared_ptr<Affine> in, out;

  explicit FeedForward(const ModelConfig& config) {
    const int64_t D = config.dim, hidden = D * config.transformer.ff_expand;
    auto net = register_module("net", std::make_shared<torch::nn::Module>());
    norm = net->register_module("0", std::make_shared<Scale>("gamma", D));
    in = net->register_module("1", std::make_shared<Affine>(at::IntArrayRef{hidden, D}, hidden, D));
    out = net->register_module("4", std::make_shared<Affine>(at::IntArrayRef{D, hidden}, D, hidden));
  }

  Tensor forward(const Tensor& x, torch::Dtype dtype) {
    const Tensor normed = Attention::normalise(x, norm->values).to(dtype);
    Tensor hidden = torch::gelu(torch::linear(normed, in->weight.to(dtype), in->bias.to(dtype)));
    hidden = torch::dropout(hidden, kDropout, is_training());
    return torch::dropout(torch::linear(hidden, out->weight.to(dtype), out->bias.to(dtype)), kDropout,
                          is_training());
  }
};

class TransformerBlock : public AxisBlock {
 public:
  TransformerBlock(const ModelConfig& config, Axis axis) : axis_(axis) {
    attention_ = std::make_shared<Attention>(config);
    feed_forward_ = std::make_shared<FeedForward>(config);
    torch::nn::ModuleList layers;  // a transformer of one layer
    layers->push_back(torch::nn::ModuleList(attention_, feed_forward_));
    register_module("layers", layers);
  }

  ResidualStream forward(const ResidualStream& stream, MixerState* state, int64_t) override {
    const Tensor& input = stream.x;
    TORCH_CHECK(state == nullptr, "A transformer block attends to whole signals and has no state to carry");
    const int64_t B = input.size(0), T = input.size(1), K = input.size(2), D = input.size(3);
    Tensor x = axis_ == Axis::kTime ? input.transpose(1, 2).reshape({B * K, T, D})  // [B*K, T, D]
                                    : input.reshape({B * T, K, D});                 // [B*T, K, D]
    x = x + attention_->forward(x, dtype_);
    stage_done(Stage::kMerge);
    x = x + feed_forward_->forward(x, dtype_);
    stage_done(Stage::kFeedForward);
    if (axis_ == Axis::kBand) return {x.view({B, T, K, D}), {}};
    return {x.view({B, K, T, D}).transpose(1, 2).contiguous(), {}};
  }

  void set_compute_dtype(torch::Dtype dtype) override { dtype_ = dtype; }
  // Nothing is folded: the weights are cast where they are used.
  void prepare_inference() override {}
  void discard_prepared() override {}

 private:
  Axis axis_;
  torch::Dtype dtype_ = torch::kFloat32;
  std::shared_ptr<Attention> attention_;
  std::shared_ptr<FeedForward> feed_forward_;
};

}  // namespace

std::shared_ptr<AxisBlock> make_transformer_block(const ModelConfig& config, Axis axis) {
  return std::make_shared<TransformerBlock>(config, axis);
}

}  // namespace bsm
