#include "separate_test_util.h"

#include <torch/torch.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <random>

#include "nn/weights.h"
#include "separate/model_impl.h"

namespace bsm::test {
namespace {

SeparationNetwork random_network(const ModelConfig& config, unsigned seed) {
  SeparationNetwork network = make_random_network(config, seed);
  // Start values are mild; stronger ones make every sample depend on its whole surroundings.
  const torch::NoGradGuard no_grad;
  torch::manual_seed(seed);
  for (auto& parameter : network->parameters()) parameter.add_(torch::randn_like(parameter), 0.1);
  network->eval();
  network->prepare_inference();
  return network;
}

torch::Tensor frames_of(const Spectrogram& mixture, int64_t begin, int64_t end) {
  return torch::from_blob(const_cast<float*>(mixture.frame(begin)), {1, end - begin, mixture.frame_size()});
}

std::vector<Spectrogram> run(const Model& model, const Spectrogram& mixture, int64_t begin, int64_t end,
                             NetworkState* state, int64_t state_frames) {
  const torch::NoGradGuard no_grad;
  SeparationNetwork network = model.impl().network;
  const torch::Tensor frames = frames_of(mixture, begin, end);
  const torch::Tensor stems =
      apply_masks(network->forward(frames, state, state_frames), frames)[0].contiguous();  // [S, T, F]
  std::vector<Spectrogram> estimates;
  for (int64_t s = 0; s < stems.size(0); ++s) {
    Spectrogram estimate(mixture.channels, mixture.bins, end - begin);
    std::copy_n(stems[s].data_ptr<float>(), estimate.values.size(), estimate.values.data());
    estimates.push_back(std::move(estimate));
  }
  return estimates;
}

}  // namespace

ModelConfig small_config() {
  ModelConfig config;
  config.dim = 16;
  config.depth = 2;
  config.mask_expand = 2;
  config.sample_rate_hz = 8000;
  config.stft = {256, 256, 60};
  config.band_bins = {1, 2, 4, 8, 16, 32, 66};
  config.mamba2 = {2, 8, 8, 4};
  config.transformer = {2, 8, 2};
  return config;
}

std::shared_ptr<const Model> random_model(const ModelConfig& config, unsigned seed) {
  auto impl = std::make_unique<Model::Impl>();
  impl->network = random_network(config, seed);
  impl->device_name = "cpu";
  impl->threads = 1;
  impl->parameters = parameter_count(impl->network);
  return Model::wrap(std::move(impl));
}

std::shared_ptr<const Model> overflowing_model(const ModelConfig& config) {
  auto model = random_model(config);
  {
    const torch::NoGradGuard no_grad;
    model->impl().network->named_parameters()["final_norm.gamma"].fill_(3e38f);
  }
  model->impl().network->prepare_inference();
  return model;
}

AudioBuffer random_mixture(int channels, int64_t frames, unsigned seed) {
  AudioBuffer audio(channels, frames);
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  for (int c = 0; c < channels; ++c)
    for (int64_t i = 0; i < frames; ++i) {
      const float gain = 0.5f + 0.4f * std::sin(0.003f * static_cast<float>(i) + static_cast<float>(c));
      audio.channel(c)[i] = gain * uniform(generator);
    }
  return audio;
}

std::vector<Spectrogram> estimate_window(const Model& model, const Spectrogram& mixture, int64_t begin,
                                         int64_t end) {
  return run(model, mixture, begin, end, nullptr, 0);
}

std::vector<Spectrogram> estimate_carried(const Model& model, const Spectrogram& mixture, int64_t hop_index,
                                          int64_t hop, int64_t lookahead) {
  NetworkState state;
  std::vector<Spectrogram> estimates;
  for (int64_t h = 0; h <= hop_index; ++h) {
    const int64_t end = std::min((h + 1) * hop + lookahead, mixture.frames);
    estimates = run(model, mixture, h * hop, end, &state, std::min(hop, end - h * hop));
  }
  return estimates;
}

void set_run_hook(const Model& model, std::function<void(int64_t batch)> hook) {
  ActivationHook on_activation;
  if (hook)
    on_activation = [hook](const std::string& name, const torch::Tensor& activation) {
      if (name == "band_split") hook(activation.size(0));
    };
  model.impl().network->set_activation_hook(on_activation);
}

std::string write_model_file(const ModelConfig& config, const std::string& name, bool poison) {
  SeparationNetwork network = make_random_network(config, 5);
  if (poison) {
    const torch::NoGradGuard no_grad;
    network->named_parameters()["final_norm.gamma"][3] = std::numeric_limits<float>::quiet_NaN();
  }
  const std::string path = (std::filesystem::temp_directory_path() / name).string();
  save_network(path, network, DType::kF32);
  return path;
}

std::vector<AudioBuffer> synthesise(const AudioBuffer& mixture, const std::vector<Spectrogram>& estimates,
                                    const StftSpec& spec) {
  FrameTransform transform(spec);
  std::vector<AudioBuffer> outputs;
  AudioBuffer rest = mixture;
  for (const Spectrogram& estimate : estimates) {
    outputs.push_back(istft(estimate, mixture.frames, transform));
    for (size_t i = 0; i < rest.samples.size(); ++i) rest.samples[i] -= outputs.back().samples[i];
  }
  outputs.push_back(std::move(rest));
  return outputs;
}

double distance(const std::vector<AudioBuffer>& a, const std::vector<AudioBuffer>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0.0;
  for (size_t s = 0; s < a.size(); ++s) {
    if (a[s].channels != b[s].channels || a[s].frames != b[s].frames)
      return std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < a[s].samples.size(); ++i) {
      const double difference = std::abs(double{a[s].samples[i]} - double{b[s].samples[i]});
      if (!(difference <= largest)) largest = std::isnan(difference) ? HUGE_VAL : difference;
    }
  }
  return largest;
}

void append_frames(std::vector<Spectrogram>& to, const std::vector<Spectrogram>& from, int64_t begin,
                   int64_t count) {
  if (to.empty())
    for (const Spectrogram& stem : from) to.emplace_back(stem.channels, stem.bins, 0);
  for (size_t s = 0; s < to.size(); ++s) {
    to[s].values.insert(to[s].values.end(), from[s].frame(begin), from[s].frame(begin + count));
    to[s].frames += count;
  }
}

}  // namespace bsm::test
