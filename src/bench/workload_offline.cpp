#include "bench/noise.h"
#include "bench/workload.h"
#include "separate/offline.h"

namespace bsm {
Workload offline_workload(const std::shared_ptr<const Model>& model, const WorkloadSizes& sizes) {
  const ModelConfig& config = model->config();
  OfflineOptions options = OfflineOptions::paper();
  options.window_frames = window_frames(config, sizes.window_s);
  options.batch = sizes.batch;
  const int64_t frames = sizes.batch * options.window_frames;
  // The longest signal of that many frames, so that there is no short window at its end.
  const auto mixture =
      std::make_shared<const AudioBuffer>(bench_noise(config.channels, frames * config.stft.hop - 1));
  Workload workload;
  workload.run = [model, options, mixture] { separate_offline(model, *mixture, options); };
  workload.audio_s = static_cast<double>(mixture->frames) / config.sample_rate_hz;
  workload.network = network_cost(config, sizes.batch, options.window_frames, value_bytes(*model));
  workload.flop = workload.network.flop();
  workload.bytes = workload.network.bytes;
  return workload;
}

}  // namespace bsm
