// Separation on a GPU against separation on the CPU: the same samples in, the same out. Run by run.sh, on
// machines that have a GPU.
#include <gtest/gtest.h>

#include <cmath>

#include "../unit/separate/frame_domain_cases.h"
#include "separate/offline.h"
#include "separate/streaming.h"

namespace bsm::test {
namespace {

TEST(SeparateCuda, FramesEqualFftw) {
  for (const StftSpec& stft : {StftSpec{256, 256, 60}, StftSpec{256, 200, 100}})
    for (const int64_t samples : {1, 129, 257, 3000})
      for (const int64_t piece_samples : {37, 10'000})
        for (const int channels : {1, 2})
          EXPECT_LE(frame_domain_error({stft, channels, samples, piece_samples}, torch::Device("cuda:0")),
                    1e-5)
              << samples << " samples in pieces of " << piece_samples << ", " << channels << " channels";
}

class SeparateCuda : public testing::TestWithParam<int> {  // channels
 protected:
  /// The published frames and bands, with narrow layers of the start values of training.
  static std::shared_ptr<const Model> model(const char* device) {
    ModelConfig config;
    config.dim = 64;
    config.depth = 2;
    config.stems = {"vocals", "drums"};
    ModelOptions options;
    options.device = device;
    options.precision = Precision::kFp32;
    return Model::random(config, options, 11);
  }

  std::shared_ptr<const Model> cpu_ = model("cpu"), gpu_ = model("cuda:0");
  AudioBuffer mixture_ = random_mixture(GetParam(), 2 * 44100 + 77);
};

/// Louder than what the comparison allows for, or it would say nothing.
void expect_sound(const AudioBuffer& stem) {
  double energy = 0;
  for (const float sample : stem.samples) energy += double{sample} * sample;
  EXPECT_GT(std::sqrt(energy / static_cast<double>(stem.samples.size())), 1e-2);
}

TEST_P(SeparateCuda, OfflineEqualsTheCpu) {
  for (const OfflineOptions& options : {OfflineOptions{60, 0, 1}, OfflineOptions{60, 10, 2}}) {
    const auto expected = separate_offline(cpu_, mixture_, options);
    expect_sound(expected[0]);
    for (int round = 0; round < 3; ++round)  // as it is, recorded, replayed
      EXPECT_LE(distance(separate_offline(gpu_, mixture_, options), expected), 1e-3);
  }
}

std::vector<AudioBuffer> stream(const std::shared_ptr<const Model>& model, const StreamingOptions& options,
                                const AudioBuffer& mixture) {
  StreamingSeparator separator(model, options);
  separator.warm_up_ns();
  const int channels = mixture.channels;
  std::vector<float> interleaved;
  for (int64_t i = 0; i < mixture.frames; ++i)
    for (int c = 0; c < channels; ++c) interleaved.push_back(mixture.channel(c)[i]);
  for (int64_t at = 0; at < mixture.frames; at += 1000)
    separator.push(interleaved.data() + at * channels, std::min<int64_t>(1000, mixture.frames - at));
  separator.finish();
  std::vector<AudioBuffer> outputs(3, AudioBuffer(channels, mixture.frames));
  std::vector<float> values(3 * interleaved.size());
  float* to[] = {values.data(), values.data() + interleaved.size(), values.data() + 2 * interleaved.size()};
  EXPECT_EQ(separator.pull(to, mixture.frames), mixture.frames);
  for (size_t s = 0; s < 3; ++s)
    for (size_t i = 0; i < interleaved.size(); ++i)
      outputs[s].channel(static_cast<int>(i) % channels)[static_cast<int>(i) / channels] = to[s][i];
  return outputs;
}

TEST_P(SeparateCuda, StreamsEqualTheCpu) {
  for (const StreamingMode mode : {StreamingMode::kCarry, StreamingMode::kRolling}) {
    const StreamingOptions options{mode, GetParam(), 20, 10, mode == StreamingMode::kCarry ? 0 : 30};
    const auto expected = stream(cpu_, options, mixture_);
    expect_sound(expected[0]);
    EXPECT_LE(distance(stream(gpu_, options, mixture_), expected), 1e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(Channels, SeparateCuda, testing::Values(1, 2));

}  // namespace
}  // namespace bsm::test
