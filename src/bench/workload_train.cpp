#include <torch/torch.h>

#include "bench/workload.h"
#include "core/error.h"
#include "separate/model_impl.h"
#include "train/config.h"
#include "train/flat_parameters.h"
#include "train/loss.h"
#include "train/wave_transform.h"

namespace bsm {
namespace {

/// Everything that one step touches, on the network's device.
struct Trainer {
  std::shared_ptr<const Model> model;  // owns the network
  SeparationNetwork network;
  FlatParameters parameters;
  WaveTransform transform;
  torch::Tensor mixture, vocals;  // [B, C, n]

  void step() {
    const TrainingConfig settings;
    parameters.zero_grad();
    const torch::Tensor estimate = separate_waves(network, transform, mixture);
    const torch::Tensor loss = separation_loss(estimate, vocals);
    stage_done(Stage::kLoss);
    loss.backward();
    stage_done(Stage::kBackward);
    parameters.step(settings.learning_rate,
                    {settings.betas, 1e-8, settings.weight_decay, settings.clip, settings.ema});
    stage_done(Stage::kOptimizer);
  }
};

}  // namespace

Workload train_workload(const std::shared_ptr<const Model>& model, const WorkloadSizes& sizes) {
  const ModelConfig& config = model->config();
  const auto samples = static_cast<int64_t>(sizes.window_s * config.sample_rate_hz);
  if (model->precision() == Precision::kFp16)
    throw Error(ErrorCode::kSettings, "Training runs in fp32 or bf16; choose one of them with --precision.");
  if (samples <= kLossSmallestFft)
    throw Error(ErrorCode::kSettings, "A training window of " + std::to_string(samples) +
                                          " samples is too short for the loss; give more than " +
                                          std::to_string(kLossSmallestFft) + " samples.");
  const torch::Device device = model->impl().device;
  if (device.is_cuda()) at::globalContext().setAllowTF32CuBLAS(true);  // as training does
  SeparationNetwork network = model->impl().network;
  network->discard_prepared();
  network->train();
  torch::manual_seed(1);
  const torch::Tensor vocals = torch::randn({sizes.batch, config.channels, samples}).to(device) * 0.1;
  const torch::Tensor mixture = vocals + torch::randn_like(vocals) * 0.1;
  const auto trainer = std::make_shared<Trainer>(
      Trainer{model, network, FlatParameters(*network), WaveTransform(config.stft, device), mixture, vocals});

  Workload workload;
  workload.run = [trainer] { trainer->step(); };
  workload.audio_s = static_cast<double>(sizes.batch * samples) / config.sample_rate_hz;
  workload.network = network_cost(config, sizes.batch, config.stft.frames(samples), value_bytes(*model));
  // The gradient of a product is two products. The optimizer reads gradient, weight, both moments and
  // average, and writes the last four, in float32.
  workload.flop = 3 * workload.network.flop();
  workload.bytes = 3 * workload.network.bytes + 9.0 * 4 * static_cast<double>(config.parameter_count());
  return workload;
}

}  // namespace bsm
