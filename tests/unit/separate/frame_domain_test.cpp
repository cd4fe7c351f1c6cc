// The transforms in LibTorch operators, run on the CPU, against FFTW: alone, and in both separators.
#include <gtest/gtest.h>

#include "core/error.h"
#include "frame_domain_cases.h"
#include "separate/offline.h"
#include "separate/streaming.h"

namespace bsm::test {
namespace {

constexpr double kTolerance = 1e-5;

TEST(DeviceFrames, EqualFftwFromTheFirstSampleToTheLast) {
  for (const StftSpec& stft : {StftSpec{256, 256, 60}, StftSpec{256, 200, 100}, StftSpec{256, 256, 128}})
    for (const int64_t samples : {1, 59, 60, 128, 129, 130, 255, 256, 257, 700, 3000})
      for (const int64_t piece_samples : {37, 300, 10'000})
        for (const int channels : {1, 2}) {
          SCOPED_TRACE(testing::Message()
                       << "win " << stft.win << ", hop " << stft.hop << ", " << samples
                       << " samples in pieces of " << piece_samples << ", " << channels << " channels");
          EXPECT_LE(frame_domain_error({stft, channels, samples, piece_samples}, torch::kCPU), kTolerance);
        }
}

TEST(DeviceFrames, SamplesWithoutFramesAreSilence) {
  const auto model = random_model(small_config());
  std::vector<FloatQueue> queues(2);
  const auto domain = make_device_frames(model->impl(), queues);
  for (FloatQueue& queue : queues) queue.extend(1000);
  domain->samples_appended(1000);
  const torch::InferenceMode inference;
  domain->push_estimates(torch::rand({1, 1, 4 * small_config().stft.bins()}));  // covers 128 samples
  domain->finish_input();
  domain->finish_output();
  ASSERT_EQ(domain->available(), 1000);
  std::vector<float> left(1000, 5.0f), right(1000, 5.0f);
  float* planar[] = {left.data(), right.data()};
  domain->pop(planar, 1000);
  EXPECT_NE(left[0], 0.0f);
  for (size_t i = 128; i < 1000; ++i) ASSERT_EQ(left[i], 0.0f) << i;
  EXPECT_EQ(domain->available(), 0);
}

TEST(DeviceFrames, ValuesThatAreNotFiniteAreAnErrorAtOnce) {
  const auto model = random_model(small_config());
  const std::vector<FloatQueue> queues(2);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    for (const int64_t frame : {0, 5, 9}) {  // samples of the last are not final yet
      const auto domain = make_device_frames(model->impl(), queues);
      const torch::InferenceMode inference;
      torch::Tensor estimates = torch::rand({1, 10, 4 * small_config().stft.bins()});
      domain->push_estimates(estimates);
      estimates[0][frame][40] = bad;
      try {
        domain->push_estimates(estimates);
        ADD_FAILURE() << "no error for frame " << frame;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kFailed);
        EXPECT_NE(std::string(error.what()).find("not finite"), std::string::npos) << error.what();
      }
    }
}

/// Two models of the same weights, which transform by FFTW and by LibTorch.
class BothTransforms : public testing::TestWithParam<int> {
 protected:
  BothTransforms() {
    ModelConfig config = small_config();
    config.stems = {"vocals", "drums"};
    host_ = random_model(config);
    tensors_ = random_model(config);
    tensors_->impl().stft_on_device = true;
  }

  std::shared_ptr<const Model> host_, tensors_;
};

TEST_P(BothTransforms, SeparateAlikeOffline) {
  for (const int64_t samples : {1, 200, 1140, 1207, 9000})
    for (const auto& [overlap, batch] : {std::pair{0, 1}, {5, 1}, {10, 3}}) {
      SCOPED_TRACE(testing::Message() << samples << " samples, overlap " << overlap << ", batch " << batch);
      const AudioBuffer mixture = random_mixture(GetParam(), samples);
      const OfflineOptions options{20, overlap, batch};
      EXPECT_LE(
          distance(separate_offline(tensors_, mixture, options), separate_offline(host_, mixture, options)),
          kTolerance);
    }
}

std::vector<AudioBuffer> stream(StreamingSeparator& separator, const AudioBuffer& mixture) {
  const int channels = mixture.channels;
  std::vector<float> interleaved, block(3 * 1024 * 2);
  for (int64_t i = 0; i < mixture.frames; ++i)
    for (int c = 0; c < channels; ++c) interleaved.push_back(mixture.channel(c)[i]);
  std::vector<AudioBuffer> outputs(3, AudioBuffer(channels, mixture.frames));
  float* to[] = {block.data(), block.data() + 2048, block.data() + 4096};
  int64_t pulled = 0;
  const auto pull = [&] {
    while (const int64_t count = separator.pull(to, 1024)) {
      for (size_t s = 0; s < 3; ++s)
        for (int64_t i = 0; i < count * channels; ++i)
          outputs[s].channel(static_cast<int>(i % channels))[pulled + i / channels] = to[s][i];
      pulled += count;
    }
  };
  for (int64_t at = 0; at < mixture.frames; at += 100) {
    separator.push(interleaved.data() + at * channels, std::min<int64_t>(100, mixture.frames - at));
    pull();
  }
  separator.finish();
  pull();
  EXPECT_EQ(pulled, mixture.frames);
  return outputs;
}

TEST_P(BothTransforms, SeparateAlikeInAStream) {
  for (const StreamingMode mode : {StreamingMode::kCarry, StreamingMode::kRolling})
    for (const int64_t samples : {1, 200, 4000}) {
      SCOPED_TRACE(samples);
      const AudioBuffer mixture = random_mixture(GetParam(), samples);
      const StreamingOptions options{mode, GetParam(), 4, 3, mode == StreamingMode::kCarry ? 0 : 6};
      StreamingSeparator host(host_, options), tensors(tensors_, options);
      const auto expected = stream(host, mixture);
      EXPECT_LE(distance(stream(tensors, mixture), expected), kTolerance);
      tensors.reset();
      EXPECT_GT(tensors.warm_up_ns(), 0);
      EXPECT_LE(distance(stream(tensors, mixture), expected), kTolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Channels, BothTransforms, testing::Values(1, 2));

}  // namespace
}  // namespace bsm::test
