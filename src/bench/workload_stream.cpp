#include <algorithm>
#include <cmath>

#include "bench/noise.h"
#include "bench/workload.h"

namespace bsm {

Workload stream_workload(const std::shared_ptr<const Model>& model, const WorkloadSizes& sizes) {
  const ModelConfig& config = model->config();
  Workload workload;
  StreamingOptions options;
  options.mode = sizes.streaming_mode;
  options.channels = config.channels;
  if (options.mode == StreamingMode::kCarry && config.kind == BlockKind::kTransformer) {
    options.mode = StreamingMode::kRolling;
    workload.note = "rolling";
  }
  const auto frames = [&](double ms) {
    return static_cast<int64_t>(std::ceil(ms / 1000 * config.sample_rate_hz / config.stft.hop - 1e-9));
  };
  options.hop_frames = std::max<int64_t>(1, frames(sizes.hop_ms));
  options.lookahead_frames = frames(sizes.lookahead_ms);
  const bool carries = options.mode == StreamingMode::kCarry;
  if (!carries) options.context_frames = frames(sizes.context_ms);

  struct Stream {
    StreamingSeparator separator;
    std::vector<float> input;
    std::vector<std::vector<float>> outputs;
    std::vector<float*> output_pointers;
    int64_t hop_samples;

    void advance() {
      separator.push(input.data(), hop_samples);
      separator.pull(output_pointers.data(), hop_samples);
    }
  };
  const int64_t hop_samples = options.hop_frames * config.stft.hop;
  const AudioBuffer audio = bench_noise(config.channels, hop_samples);
  auto stream = std::make_shared<Stream>(
      Stream{StreamingSeparator(model, options), audio.samples, {}, {}, hop_samples});
  stream->outputs.assign(config.stems.size() + 1, std::vector<float>(audio.samples.size()));
  for (auto& output : stream->outputs) stream->output_pointers.push_back(output.data());
  // Until the context is whole and each hop of input brings one hop of output.
  const int64_t seen = options.context_frames + options.hop_frames + options.lookahead_frames;
  const int64_t settled = (seen + config.stft.tail_samples() / config.stft.hop) / options.hop_frames + 2;
  for (int64_t hop = 0; hop < settled; ++hop) stream->advance();

  workload.run = [stream] { stream->advance(); };
  workload.audio_s = static_cast<double>(hop_samples) / config.sample_rate_hz;
  workload.network = network_cost(config, 1, seen, value_bytes(*model));
  workload.flop = workload.network.flop();
  workload.bytes = workload.network.bytes + (carries ? 2 * carried_state_bytes(config) : 0);
  return workload;
}

}  // namespace bsm
