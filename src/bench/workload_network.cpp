#include <torch/torch.h>

#include <algorithm>

#include "bench/workload.h"
#include "separate/model_impl.h"

namespace bsm {

int64_t window_frames(const ModelConfig& config, double window_s) {
  return std::max<int64_t>(1, static_cast<int64_t>(window_s * config.sample_rate_hz) / config.stft.hop);
}

int64_t value_bytes(const Model& model) { return model.precision() == Precision::kFp32 ? 4 : 2; }

Workload network_workload(const std::shared_ptr<const Model>& model, const WorkloadSizes& sizes) {
  const ModelConfig& config = model->config();
  const int64_t count = window_frames(config, sizes.window_s);
  torch::manual_seed(1);
  const torch::Tensor frames =
      torch::randn({sizes.batch, count, int64_t{2} * config.channels * config.stft.bins()})
          .to(model->impl().device);
  Workload workload;
  workload.run = [model, frames] {
    const torch::InferenceMode inference;
    model->impl().forward(frames);
  };
  workload.audio_s = static_cast<double>(sizes.batch * count * config.stft.hop) / config.sample_rate_hz;
  workload.network = network_cost(config, sizes.batch, count, value_bytes(*model));
  workload.flop = workload.network.flop();
  workload.bytes = workload.network.bytes;
  return workload;
}

}  // namespace bsm
