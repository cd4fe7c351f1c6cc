#include "nn/network.h"

#include <torch/torch.h>

#include "core/error.h"
#include "nn/band_split.h"
#include "nn/blocks.h"
#include "nn/recompute.h"
#include "nn/stages.h"

namespace bsm {

using torch::Tensor;

namespace {

/// Every in-place change of a tensor (an optimizer's step, a copy) counts its version one up.
int64_t version_of(const std::vector<Tensor>& tensors) {
  int64_t version = 0;
  for (const Tensor& tensor : tensors)
    if (!tensor.is_inference()) version += static_cast<int64_t>(tensor._version());
  return version;
}

}  // namespace

struct SeparationNetworkImpl::Impl {
  std::shared_ptr<BandSplit> band_split;
  struct Layer {
    std::shared_ptr<AxisBlock> time, band;
  };
  std::vector<Layer> layers;
  std::shared_ptr<Scale> final_norm;
  std::vector<std::shared_ptr<MaskEstimator>> mask_estimators;

  torch::Dtype dtype = torch::kFloat32;
  bool recompute = false;
  ActivationHook hook;
  // The parameters from which inference weights were derived, and their version then; empty: nothing was
  // derived.
  std::vector<Tensor> prepared_from;
  int64_t prepared_version = 0;
};

SeparationNetworkImpl::SeparationNetworkImpl(const ModelConfig& config)
    : torch::nn::Module("SeparationNetwork"), config_(config), impl_(std::make_unique<Impl>()) {
  config_.validate();
  impl_->band_split = register_module("band_split", std::make_shared<BandSplit>(config_));
  torch::nn::ModuleList layers;
  for (int l = 0; l < config_.depth; ++l) {
    impl_->layers.push_back({make_axis_block(config_, Axis::kTime), make_axis_block(config_, Axis::kBand)});
    layers->push_back(torch::nn::ModuleList(impl_->layers.back().time, impl_->layers.back().band));
  }
  register_module("layers", layers);
  impl_->final_norm = register_module("final_norm", std::make_shared<Scale>("gamma", config_.dim));
  torch::nn::ModuleList estimators;
  for (size_t s = 0; s < config_.stems.size(); ++s) {
    impl_->mask_estimators.push_back(std::make_shared<MaskEstimator>(config_));
    estimators->push_back(impl_->mask_estimators.back());
  }
  register_module("mask_estimators", estimators);
}

SeparationNetworkImpl::~SeparationNetworkImpl() = default;

Tensor SeparationNetworkImpl::forward(const Tensor& frames, NetworkState* state, int64_t state_frames,
                                      FrameRange wanted) {
  TORCH_CHECK(frames.dim() == 3 && frames.size(2) == int64_t{2} * config_.channels * config_.stft.bins(),
              "Network input has shape ", frames.sizes(), ", expected [B, T, ",
              2 * config_.channels * config_.stft.bins(), "]");
  TORCH_CHECK(frames.numel() > 0, "Network input is empty: ", frames.sizes());
  if (wanted.end < 0) wanted.end = frames.size(1);
  TORCH_CHECK(0 <= wanted.begin && wanted.begin < wanted.end && wanted.end <= frames.size(1),
              "Masks are wanted of the frames ", wanted.begin, " to ", wanted.end, " of ", frames.size(1));
  TORCH_CHECK(state == nullptr || config_.kind == BlockKind::kMamba2,
              "A bsroformer network has no state to carry; give it whole signals");
  TORCH_CHECK(at::GradMode::is_enabled() || impl_->prepared_from.empty() ||
                  impl_->prepared_version == version_of(impl_->prepared_from),
              "The parameters changed after prepare_inference(); call it again");
  if (state != nullptr) state->time_blocks.resize(impl_->layers.size());
  const auto observe = [&](const std::string& name, const Tensor& activation) {
    if (impl_->hook) impl_->hook(name, activation.clone());  // blocks may go on in its memory
  };
  const bool recompute = impl_->recompute && at::GradMode::is_enabled() && state == nullptr;
  const auto run_block = [&](const std::shared_ptr<AxisBlock>& block, const ResidualStream& input,
                             MixerState* block_state) -> ResidualStream {
    if (!recompute) return block->forward(input, block_state, state_frames);
    const auto again = [block](const Tensor& x) { return block->forward({x, {}}, nullptr, 0).x; };
    return {recomputed(again, input.x), {}};
  };

  ResidualStream stream = impl_->band_split->forward(frames, impl_->dtype);  // [B, T, K, D]
  stage_done(Stage::kBandSplit);
  observe("band_split", stream.x);
  for (size_t l = 0; l < impl_->layers.size(); ++l) {
    const std::string name = "layers." + std::to_string(l);
    stream = run_block(impl_->layers[l].time, stream, state != nullptr ? &state->time_blocks[l] : nullptr);
    stage_done(Stage::kMerge);
    observe(name + ".time", stream.x);
    stream = run_block(impl_->layers[l].band, stream, nullptr);
    stage_done(Stage::kMerge);
    observe(name + ".band", stream.x);
  }
  Tensor x = stream.x;
  const Tensor& gamma = impl_->final_norm->values;  // multiplied in by the mask estimators
  if (impl_->hook) observe("final_norm", unit_norm(x) * gamma * std::sqrt(static_cast<double>(config_.dim)));

  x = x.slice(1, wanted.begin, wanted.end);
  std::vector<Tensor> masks;
  for (const auto& estimator : impl_->mask_estimators)
    masks.push_back(estimator->forward(x, gamma, impl_->dtype));
  const Tensor stacked = masks.size() == 1 ? masks[0].unsqueeze(1) : torch::stack(masks, 1);  // [B, S, T, F]
  stage_done(Stage::kMasks);
  return stacked;
}

void SeparationNetworkImpl::set_compute_dtype(torch::Dtype dtype) {
  if (dtype != torch::kFloat32 && dtype != torch::kBFloat16 && dtype != torch::kFloat16)
    throw Error(ErrorCode::kSettings, "The network computes in float32, bfloat16 or float16 only.");
  discard_prepared();
  impl_->dtype = dtype;
  for (auto& layer : impl_->layers) {
    layer.time->set_compute_dtype(dtype);
    layer.band->set_compute_dtype(dtype);
  }
}

torch::Dtype SeparationNetworkImpl::compute_dtype() const { return impl_->dtype; }

void SeparationNetworkImpl::set_recompute(bool recompute) { impl_->recompute = recompute; }

void SeparationNetworkImpl::prepare_inference() {
  impl_->band_split->prepare_inference(impl_->dtype);
  for (auto& layer : impl_->layers) {
    layer.time->prepare_inference();
    layer.band->prepare_inference();
  }
  for (auto& estimator : impl_->mask_estimators)
    estimator->prepare_inference(impl_->dtype, impl_->final_norm->values);
  impl_->prepared_from = parameters();
  impl_->prepared_version = version_of(impl_->prepared_from);
}

void SeparationNetworkImpl::discard_prepared() {
  impl_->band_split->discard_prepared();
  for (auto& layer : impl_->layers) {
    layer.time->discard_prepared();
    layer.band->discard_prepared();
  }
  for (auto& estimator : impl_->mask_estimators) estimator->discard_prepared();
  impl_->prepared_from.clear();
}

void SeparationNetworkImpl::set_activation_hook(ActivationHook hook) { impl_->hook = std::move(hook); }

Tensor apply_masks(const Tensor& masks, const Tensor& frames) {
  const auto sizes = masks.sizes();
  const Tensor m = masks.reshape({sizes[0], sizes[1], sizes[2], sizes[3] / 2, 2});
  const Tensor f = frames.reshape({sizes[0], 1, sizes[2], sizes[3] / 2, 2});
  const auto mask = m.unbind(-1), frame = f.unbind(-1);
  return torch::stack({mask[0] * frame[0] - mask[1] * frame[1], mask[0] * frame[1] + mask[1] * frame[0]}, -1)
      .view(sizes);
}

int64_t parameter_count(const SeparationNetwork& network) {
  int64_t count = 0;
  for (const Tensor& parameter : network->parameters()) count += parameter.numel();
  return count;
}

}  // namespace bsm
