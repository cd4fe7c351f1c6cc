#include "nn/band_split.h"

namespace bsm {

using torch::Tensor;

namespace {

/// An unnamed child list, e.g. the torch::nn::Sequential of a band; entries keep the numbers of the published
/// names.
std::shared_ptr<torch::nn::Module> numbered(
    const std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>>& children) {
  auto list = std::make_shared<torch::nn::Module>();
  for (const auto& [name, child] : children) list->register_module(name, child);
  return list;
}

/// Weights [out, in] of neighbouring bands as one right-hand side [bands, in, out] of a batched product.
Tensor stack_transposed(const std::vector<Tensor>& weights) { return torch::stack(weights).transpose(1, 2); }

/// Inference in the fused CPU operators: what prepare_inference() prepares for.
bool takes_cpu_operators(const Tensor& weight, torch::Dtype dtype) {
  return weight.is_cpu() && dtype == torch::kFloat32 && mixer_backend() == MixerBackend::kAuto;
}

bool inference_in(const auto& operators) {
  return operators && !at::GradMode::is_enabled() && mixer_backend() == MixerBackend::kAuto;
}

/// The factors of a norm of the root mean square, for a vector divided by its length.
Tensor scaled_gamma(const Tensor& gamma) { return gamma * std::sqrt(static_cast<double>(gamma.size(0))); }

/// The bands of a run, one by one.
void append_bands(const BandGroup& run, std::vector<BandLinear>& bands) {
  for (int64_t k = 0; k < run.weight.size(0); ++k) bands.push_back({run.weight[k], run.bias[k][0]});
}

}  // namespace

std::vector<BandRun> band_runs(const ModelConfig& config) {
  std::vector<BandRun> runs;
  int64_t band = 0, value = 0;
  for (const int bins : config.band_bins) {
    const int64_t width = int64_t{2} * config.channels * bins;
    if (runs.empty() || runs.back().width != width) runs.push_back({band, 0, value, width});
    ++runs.back().bands;
    ++band;
    value += width;
  }
  return runs;
}

BandSplit::BandSplit(const ModelConfig& config) : runs_(band_runs(config)) {
  auto to_features = register_module("to_features", std::make_shared<torch::nn::Module>());
  for (const int bins : config.band_bins) {
    const int64_t width = int64_t{2} * config.channels * bins;
    norms_.push_back(std::make_shared<Scale>("gamma", width));
    linears_.push_back(std::make_shared<Affine>(at::IntArrayRef{config.dim, width}, config.dim, width));
    to_features->register_module(std::to_string(norms_.size() - 1),
                                 numbered({{"0", norms_.back()}, {"1", linears_.back()}}));
  }
}

std::vector<BandGroup> BandSplit::stack(torch::Dtype dtype) const {
  std::vector<BandGroup> stacked;
  for (const BandRun& run : runs_) {
    std::vector<Tensor> weights, gammas, biases;
    for (int64_t k = run.first_band; k < run.first_band + run.bands; ++k) {
      weights.push_back(linears_[k]->weight);
      gammas.push_back(norms_[k]->values);
      biases.push_back(linears_[k]->bias);
    }
    const Tensor factors = torch::stack(gammas).unsqueeze(2) * std::sqrt(static_cast<double>(run.width));
    stacked.push_back(
        {(stack_transposed(weights) * factors).to(dtype), torch::stack(biases).unsqueeze(1).to(dtype)});
  }
  return stacked;
}

ResidualStream BandSplit::forward(const Tensor& frames, torch::Dtype dtype) const {
  if (inference_in(prepared_cpu_)) return {prepared_cpu_->forward(frames), {}};
  if (inference_in(prepared_cuda_)) return prepared_cuda_->forward(frames);
  const std::vector<BandGroup> w = !at::GradMode::is_enabled() && prepared_ ? *prepared_ : stack(dtype);
  const int64_t B = frames.size(0), T = frames.size(1);
  std::vector<Tensor> features;
  for (size_t r = 0; r < runs_.size(); ++r) {
    const BandRun& run = runs_[r];
    const Tensor bands = frames.narrow(2, run.first_value, run.bands * run.width)
                             .reshape({B * T, run.bands, run.width})
                             .transpose(0, 1);  // [bands, B*T, width]
    features.push_back(torch::baddbmm(w[r].bias, unit_norm(bands).to(dtype), w[r].weight).transpose(0, 1));
  }
  return {torch::cat(features, 1).to(torch::kFloat32).view({B, T, -1, w[0].bias.size(2)}), {}};
}

void BandSplit::prepare_inference(torch::Dtype dtype) {
  torch::NoGradGuard no_grad;
  discard_prepared();
  std::vector<BandGroup> stacked = stack(torch::kFloat32);
  if (takes_cpu_operators(stacked[0].weight, dtype)) {
    std::vector<BandLinear> bands;
    for (const BandGroup& run : stacked) append_bands(run, bands);
    prepared_cpu_ = std::make_unique<BandFeaturesCpu>(bands);
    return;
  }
  if (mixer_backend() == MixerBackend::kAuto) prepared_cuda_ = prepare_band_features_cuda(stacked, dtype);
  if (prepared_cuda_) return;
  for (BandGroup& run : stacked) run = {run.weight.to(dtype).contiguous(), run.bias.to(dtype)};
  prepared_ = std::move(stacked);
}

void BandSplit::discard_prepared() {
  prepared_.reset();
  prepared_cpu_.reset();
  prepared_cuda_.reset();
}

MaskEstimator::MaskEstimator(const ModelConfig& config) : runs_(band_runs(config)) {
  const int64_t hidden = int64_t{config.mask_expand} * config.dim;
  auto to_freqs = register_module("to_freqs", std::make_shared<torch::nn::Module>());
  for (const int bins : config.band_bins) {
    const int64_t out = int64_t{4} * config.channels * bins;
    hidden_.push_back(std::make_shared<Affine>(at::IntArrayRef{hidden, config.dim}, hidden, config.dim));
    out_.push_back(std::make_shared<Affine>(at::IntArrayRef{out, hidden}, out, hidden));
    to_freqs->register_module(std::to_string(hidden_.size() - 1),
                              numbered({{"0", numbered({{"0", hidden_.back()}, {"2", out_.back()}})}}));
  }
}

MaskEstimator::Stacked MaskEstimator::stack(torch::Dtype dtype, const Tensor& final_gamma) const {
  const auto weights = [](const auto& linears, int64_t first, int64_t count) {
    std::vector<Tensor> list;
    for (int64_t k = first; k < first + count; ++k) list.push_back(linears[k]->weight);
    return stack_transposed(list);
  };
  const auto biases = [&](const auto& linears, int64_t first, int64_t count) {
    std::vector<Tensor> list;
    for (int64_t k = first; k < first + count; ++k) list.push_back(linears[k]->bias);
    return torch::stack(list).unsqueeze(1).to(dtype);
  };
  const Tensor gamma = scaled_gamma(final_gamma);
  const int64_t K = static_cast<int64_t>(hidden_.size());
  Stacked stacked;
  stacked.hidden = {(weights(hidden_, 0, K) * gamma.unsqueeze(1)).to(dtype), biases(hidden_, 0, K)};
  for (const BandRun& run : runs_)
    stacked.out.push_back(
        {weights(out_, run.first_band, run.bands).to(dtype), biases(out_, run.first_band, run.bands)});
  return stacked;
}

Tensor MaskEstimator::forward(const Tensor& x, const Tensor& final_gamma, torch::Dtype dtype) const {
  if (inference_in(prepared_cpu_)) return prepared_cpu_->forward(x);
  if (inference_in(prepared_cuda_)) return prepared_cuda_->forward(x);
  const Stacked w = !at::GradMode::is_enabled() && prepared_ ? *prepared_ : stack(dtype, final_gamma);
  const int64_t B = x.size(0), T = x.size(1), K = x.size(2), D = x.size(3);
  const Tensor bands = unit_norm(x).to(dtype).reshape({B * T, K, D}).transpose(0, 1);  // [K, B*T, D]
  const Tensor hidden = torch::baddbmm(w.hidden.bias, bands, w.hidden.weight).tanh();  // [K, B*T, hidden]
  std::vector<Tensor> masks;
  for (size_t r = 0; r < runs_.size(); ++r) {
    const Tensor in = hidden.narrow(0, runs_[r].first_band, runs_[r].bands);
    const Tensor out = torch::baddbmm(w.out[r].bias, in, w.out[r].weight);      // [bands, B*T, 2 * width]
    masks.push_back(torch::glu(out, -1).transpose(0, 1).reshape({B * T, -1}));  // [B*T, bands * width]
  }
  return torch::cat(masks, 1).to(torch::kFloat32).view({B, T, -1});
}

void MaskEstimator::prepare_inference(torch::Dtype dtype, const Tensor& final_gamma) {
  torch::NoGradGuard no_grad;
  discard_prepared();
  if (takes_cpu_operators(hidden_[0]->weight, dtype)) {
    const Tensor gamma = scaled_gamma(final_gamma).unsqueeze(1);
    std::vector<BandLinear> hidden, out;
    for (size_t k = 0; k < hidden_.size(); ++k) {
      hidden.push_back({hidden_[k]->weight.t() * gamma, hidden_[k]->bias});
      out.push_back({out_[k]->weight.t(), out_[k]->bias});
    }
    prepared_cpu_ = std::make_unique<BandMasksCpu>(std::move(hidden), std::move(out));
    return;
  }
  Stacked stacked = stack(torch::kFloat32, final_gamma);
  if (mixer_backend() == MixerBackend::kAuto)
    prepared_cuda_ = prepare_band_masks_cuda(stacked.hidden, stacked.out, dtype);
  if (prepared_cuda_) return;
  const auto rounded = [&](BandGroup& group) {
    group = {group.weight.to(dtype).contiguous(), group.bias.to(dtype)};
  };
  rounded(stacked.hidden);
  for (BandGroup& run : stacked.out) rounded(run);
  prepared_ = std::move(stacked);
}

void MaskEstimator::discard_prepared() {
  prepared_.reset();
  prepared_cpu_.reset();
  prepared_cuda_.reset();
}

}  // namespace bsm
