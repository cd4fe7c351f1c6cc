// A signal through FrameDomain on a device and through FFTW on the host: shared by the tests of every machine
// and those of machines with a GPU.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "separate/frame_domain.h"
#include "separate_test_util.h"

namespace bsm::test {

struct FrameDomainCase {
  StftSpec stft;
  int channels;  ///< of the signal; the model's are 2
  int64_t samples;
  int64_t piece_samples;  ///< pushed at a time
};

struct FramesAndStems {
  torch::Tensor frames;            ///< [T, F] on the CPU
  std::vector<AudioBuffer> stems;  ///< with the channels of the model
};

/// Takes frames as soon as they are ready, multiplies them by random factors of each stem and pops what comes
/// of that, in blocks of 100 samples.
inline FramesAndStems transform_there_and_back(FrameDomain& domain, std::vector<FloatQueue>& queues,
                                               const ModelConfig& config, const FrameDomainCase& c) {
  const AudioBuffer mixture = random_mixture(c.channels, c.samples);
  const int64_t stems = static_cast<int64_t>(config.stems.size());
  torch::manual_seed(7);
  const torch::Tensor factors =
      torch::rand({stems, c.stft.frames(c.samples), int64_t{2} * config.channels * c.stft.bins()});
  FramesAndStems result{torch::Tensor(), std::vector<AudioBuffer>(config.stems.size(),
                                                                  AudioBuffer(config.channels, c.samples))};
  std::vector<torch::Tensor> all_frames;
  int64_t taken = 0, popped = 0;

  const auto advance = [&] {
    const torch::InferenceMode inference;
    const int64_t count = domain.frames_ready() - taken;
    if (count > 0) {
      const torch::Tensor frames = domain.take_frames(count);
      all_frames.push_back(frames.cpu());
      domain.push_estimates(frames * factors.slice(1, taken, taken + count).to(frames.device()));
      taken += count;
    }
  };
  const auto pop = [&] {
    while (const int64_t count = std::min<int64_t>(domain.available(), 100)) {
      std::vector<float*> planar;
      for (AudioBuffer& stem : result.stems)
        for (int channel = 0; channel < config.channels; ++channel)
          planar.push_back(stem.channel(channel) + popped);
      domain.pop(planar.data(), count);
      popped += count;
      for (FloatQueue& queue : queues) queue.drop_before(popped - 1);
    }
  };
  for (int64_t at = 0; at < c.samples; at += c.piece_samples) {
    const int64_t count = std::min(c.piece_samples, c.samples - at);
    for (int channel = 0; channel < c.channels; ++channel)
      queues[static_cast<size_t>(channel)].append(mixture.channel(channel) + at, count);
    domain.samples_appended(count);
    advance();
    pop();
  }
  domain.finish_input();
  advance();
  domain.finish_output();
  pop();
  result.frames = torch::cat(all_frames);
  TORCH_CHECK(popped == c.samples, "popped ", popped, " of ", c.samples, " samples");
  return result;
}

inline double largest(const std::vector<AudioBuffer>& buffers) {
  float value = 0;
  for (const AudioBuffer& buffer : buffers)
    for (const float sample : buffer.samples) value = std::max(value, std::abs(sample));
  return value;
}

/// Largest difference between the two, of frames and of samples, in terms of the largest value; infinite when
/// a size differs.
inline double frame_domain_error(const FrameDomainCase& c, const torch::Device& device) {
  ModelConfig config = small_config();
  config.stft = c.stft;
  config.stems = {"vocals", "drums"};
  const auto model = random_model(config);
  model->impl().device = device;
  std::vector<FloatQueue> host_queues(static_cast<size_t>(c.channels)), queues = host_queues;
  const auto host = make_host_frames(model->impl(), host_queues);
  const auto tensors = make_device_frames(model->impl(), queues);
  const FramesAndStems expected = transform_there_and_back(*host, host_queues, config, c);
  double error = 0;
  for (int round = 0; round < 2; ++round) {  // a used one starts anew
    const FramesAndStems found = transform_there_and_back(*tensors, queues, config, c);
    if (found.frames.sizes() != expected.frames.sizes()) return HUGE_VAL;
    const double frames_error = (found.frames - expected.frames).abs().max().item<double>();
    error = std::max({error, frames_error / expected.frames.abs().max().item<double>(),
                      distance(found.stems, expected.stems) / largest(expected.stems)});
    tensors->reset();
    for (FloatQueue& queue : queues) queue.clear();
  }
  return error;
}

}  // namespace bsm::test
