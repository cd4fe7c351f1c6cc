#include "reference_network.h"

#include "nn/scan.h"

namespace bsm {
namespace {

using torch::Tensor;

/// Parameters and buffers by published name, below a prefix.
struct Named {
  const torch::OrderedDict<std::string, Tensor>* all;
  std::string prefix;
  Tensor operator[](const std::string& name) const { return (*all)[prefix + name]; }
  Named under(const std::string& more) const { return {all, prefix + more + "."}; }
};

Tensor norm_a(const Tensor& x, const Tensor& gamma) {
  return torch::nn::functional::normalize(x, torch::nn::functional::NormalizeFuncOptions().dim(-1)) *
         std::sqrt(static_cast<double>(x.size(-1))) * gamma;
}

Tensor norm_b(const Tensor& x, const Tensor& weight) {
  return x * torch::rsqrt(x.pow(2).mean(-1, true) + 1e-5) * weight;
}

/// @param u [S, L, D]
Tensor mixer(const Tensor& u, const Named& w, const ModelConfig& c) {
  const int64_t S = u.size(0), L = u.size(1), d = c.d_inner(), N = c.mamba2.state, H = c.heads();
  const Tensor zxbcdt = torch::linear(u, w["in_proj.weight"]);
  const Tensor z = zxbcdt.slice(2, 0, d), xbc = zxbcdt.slice(2, d, 2 * d + 2 * N),
               dt = zxbcdt.slice(2, 2 * d + 2 * N);
  const int64_t channels = c.conv_channels();
  const Tensor convolved =
      torch::silu(torch::conv1d(xbc.transpose(1, 2), w["conv1d.weight"], w["conv1d.bias"], 1,
                                c.mamba2.conv_width - 1, 1, channels)
                      .slice(2, 0, L)
                      .transpose(1, 2));
  const Tensor x = convolved.slice(2, 0, d).reshape({S, L, H, c.mamba2.head_dim});
  const Tensor y = scan_reference({x, torch::softplus(dt + w["dt_bias"]), -w["A_log"].exp(),
                                   convolved.slice(2, d, d + N), convolved.slice(2, d + N), Tensor()})
                       .y +
                   w["D"].unsqueeze(1) * x;
  return torch::linear(norm_b(y.reshape({S, L, d}) * torch::silu(z), w["norm.weight"]), w["out_proj.weight"]);
}

/// @param x [S, L, D]
Tensor mamba2_block(const Tensor& x, const Named& w, const ModelConfig& c) {
  const Named fwd = w.under("forward_blocks.0");
  const Tensor f = mixer(norm_b(x, fwd["norm.weight"]), fwd.under("mixer"), c) + x;
  const Tensor weight = w["linear.weight"].squeeze(2);
  if (weight.size(0) == x.size(2)) return f.matmul(weight) + w["linear.bias"] + x;
  const Named bwd = w.under("backward_blocks.0");
  const Tensor flipped = x.flip(1);
  const Tensor g = mixer(norm_b(flipped, bwd["norm.weight"]), bwd.under("mixer"), c) + flipped;
  return torch::cat({f, g.flip(1)}, 2).matmul(weight) + w["linear.bias"] + x;
}

/// Complex rotation of neighbouring pairs. @param x [L, head_dim]
Tensor rotate(const Tensor& x, const Tensor& freqs) {
  const Tensor angle = torch::outer(torch::arange(x.size(0)).to(torch::kFloat32), freqs);
  const Tensor pairs = torch::view_as_complex(x.reshape({x.size(0), -1, 2}).contiguous());
  return torch::view_as_real(pairs * torch::polar(torch::ones_like(angle), angle)).reshape(x.sizes());
}

/// @param x [S, L, D]
Tensor transformer_block(const Tensor& x, const Named& w, const ModelConfig& c) {
  const Named a = w.under("layers.0.0"), ff = w.under("layers.0.1.net");
  const int64_t heads = c.transformer.heads, dh = c.transformer.head_dim;
  std::vector<Tensor> sequences;
  for (int64_t s = 0; s < x.size(0); ++s) {
    const Tensor normed = norm_a(x[s], a["norm.gamma"]);  // [L, D]
    const Tensor qkv = torch::linear(normed, a["to_qkv.weight"]);
    const Tensor gates = torch::sigmoid(torch::linear(normed, a["to_gates.weight"], a["to_gates.bias"]));
    std::vector<Tensor> parts;
    for (int64_t h = 0; h < heads; ++h) {
      const auto part = [&](int64_t which) { return qkv.narrow(1, (which * heads + h) * dh, dh); };
      const Tensor q = rotate(part(0), a["rotary_embed.freqs"]), k = rotate(part(1), a["rotary_embed.freqs"]);
      const Tensor weights = torch::softmax(q.matmul(k.t()) / std::sqrt(static_cast<double>(dh)), -1);
      parts.push_back(weights.matmul(part(2)) * gates.narrow(1, h, 1));
    }
    sequences.push_back(x[s] + torch::linear(torch::cat(parts, 1), a["to_out.0.weight"]));
  }
  const Tensor y = torch::stack(sequences);
  const Tensor hidden = torch::gelu(torch::linear(norm_a(y, ff["0.gamma"]), ff["1.weight"], ff["1.bias"]));
  return y + torch::linear(hidden, ff["4.weight"], ff["4.bias"]);
}

}  // namespace

Tensor reference_masks(const SeparationNetwork& network, const Tensor& frames) {
  const ModelConfig& c = network->config();
  auto all = network->named_parameters();
  for (const auto& buffer : network->named_buffers()) all.insert(buffer.key(), buffer.value());
  const Named w{&all, ""};
  const int64_t B = frames.size(0), T = frames.size(1), K = c.bands(), D = c.dim;

  std::vector<Tensor> bands;
  int64_t offset = 0;
  for (int64_t k = 0; k < K; ++k) {
    const int64_t width = 2 * c.channels * c.band_bins[k];
    const Named band = w.under("band_split.to_features." + std::to_string(k));
    bands.push_back(torch::linear(norm_a(frames.narrow(2, offset, width), band["0.gamma"]), band["1.weight"],
                                  band["1.bias"]));
    offset += width;
  }
  Tensor x = torch::stack(bands, 2);  // [B, T, K, D]

  const auto block = c.kind == BlockKind::kMamba2 ? mamba2_block : transformer_block;
  for (int l = 0; l < c.depth; ++l) {
    const Named layer = w.under("layers." + std::to_string(l));
    x = block(x.transpose(1, 2).reshape({B * K, T, D}), layer.under("0"), c)
            .view({B, K, T, D})
            .transpose(1, 2);
    x = block(x.reshape({B * T, K, D}), layer.under("1"), c).view({B, T, K, D});
  }
  x = norm_a(x, w["final_norm.gamma"]);

  std::vector<Tensor> masks;
  for (size_t s = 0; s < c.stems.size(); ++s) {
    std::vector<Tensor> parts;
    for (int64_t k = 0; k < K; ++k) {
      const Named head =
          w.under("mask_estimators." + std::to_string(s) + ".to_freqs." + std::to_string(k) + ".0");
      const Tensor hidden = torch::tanh(torch::linear(x.select(2, k), head["0.weight"], head["0.bias"]));
      const auto halves = torch::linear(hidden, head["2.weight"], head["2.bias"]).chunk(2, -1);
      parts.push_back(halves[0] * torch::sigmoid(halves[1]));
    }
    masks.push_back(torch::cat(parts, 2));
  }
  return torch::stack(masks, 1);
}

}  // namespace bsm
