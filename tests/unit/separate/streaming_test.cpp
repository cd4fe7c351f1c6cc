// Streaming against plain references: each window computed explicitly on the spectrogram of the whole signal.
#include "separate/streaming.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "core/error.h"
#include "separate/offline.h"
#include "separate_test_util.h"

namespace bsm::test {
namespace {

constexpr double kTolerance = 1e-5;

using Sizes = std::function<int64_t()>;
int64_t everything() { return int64_t{1} << 30; }

/// Pushes in pieces, pulls what is there after each, and checks that the lengths agree.
std::vector<AudioBuffer> stream(StreamingSeparator& separator, const AudioBuffer& mixture, int stems,
                                const Sizes& sizes = everything) {
  const int channels = mixture.channels;
  std::vector<float> interleaved(mixture.samples.size());
  for (int c = 0; c < channels; ++c)
    for (int64_t i = 0; i < mixture.frames; ++i)
      interleaved[static_cast<size_t>(i * channels + c)] = mixture.channel(c)[i];
  std::vector<AudioBuffer> outputs(static_cast<size_t>(stems) + 1, AudioBuffer(channels, mixture.frames));
  int64_t pulled = 0;
  const auto pull = [&] {
    const int64_t expected = separator.available();
    std::vector<std::vector<float>> pieces(outputs.size(),
                                           std::vector<float>(static_cast<size_t>(expected * channels)));
    std::vector<float*> pointers;
    for (auto& piece : pieces) pointers.push_back(piece.data());
    ASSERT_LE(pulled + expected, mixture.frames);
    ASSERT_EQ(separator.pull(pointers.data(), expected + 10), expected);
    for (size_t s = 0; s < outputs.size(); ++s)
      for (int64_t i = 0; i < expected; ++i)
        for (int c = 0; c < channels; ++c)
          outputs[s].channel(c)[pulled + i] = pieces[s][static_cast<size_t>(i * channels + c)];
    pulled += expected;
  };
  for (int64_t at = 0; at < mixture.frames;) {
    const int64_t count = std::min(sizes(), mixture.frames - at);
    separator.push(interleaved.data() + at * channels, count);
    at += count;
    pull();
  }
  separator.finish();
  pull();
  EXPECT_EQ(pulled, mixture.frames);
  return outputs;
}

StreamingOptions options(StreamingMode mode, int64_t hop, int64_t lookahead, int64_t context = 0,
                         int channels = 2) {
  return {mode, channels, hop, lookahead, context};
}

/// The definition of streaming.h, in plain loops. The window of hop h gives `hop` frames, the first one that
/// reaches the end gives all that are left.
std::vector<AudioBuffer> reference(const Model& model, const AudioBuffer& mixture,
                                   const StreamingOptions& options) {
  FrameTransform transform(model.config().stft);
  const Spectrogram spectrogram = stft(mixture, transform);
  std::vector<Spectrogram> estimates;
  for (int64_t h = 0; h * options.hop_frames < spectrogram.frames; ++h) {
    const int64_t next = h * options.hop_frames;
    const int64_t end = std::min(next + options.hop_frames + options.lookahead_frames, spectrogram.frames);
    const bool last = end == spectrogram.frames;
    const int64_t finished = last ? end - next : options.hop_frames;
    if (options.mode == StreamingMode::kCarry) {
      const auto window =
          estimate_carried(model, spectrogram, h, options.hop_frames, options.lookahead_frames);
      append_frames(estimates, window, 0, finished);
    } else {
      const int64_t begin = std::max<int64_t>(next - options.context_frames, 0);
      append_frames(estimates, estimate_window(model, spectrogram, begin, end), next - begin, finished);
    }
    if (last) break;
  }
  return synthesise(mixture, estimates, model.config().stft);
}

TEST(Streaming, RollingEqualsEachWindowRecomputed) {
  const auto model = random_model(small_config());
  for (const auto& [hop, lookahead, context] : {std::tuple{1, 0, 0}, {4, 3, 10}, {7, 20, 5}, {3, 0, 30}}) {
    SCOPED_TRACE(testing::Message() << hop << " | " << lookahead << " | " << context);
    const AudioBuffer mixture = random_mixture(2, 3001);
    StreamingSeparator separator(model, options(StreamingMode::kRolling, hop, lookahead, context));
    EXPECT_LE(distance(stream(separator, mixture, 1), reference(*model, mixture, separator.options())),
              kTolerance);
  }
}

TEST(Streaming, CarryEqualsTheWholePastRecomputedAtEachHop) {
  const auto model = random_model(small_config());
  for (const auto& [hop, lookahead] : {std::pair{1, 0}, {1, 5}, {4, 3}, {7, 20}}) {
    SCOPED_TRACE(testing::Message() << hop << " | " << lookahead);
    const AudioBuffer mixture =
        random_mixture(2, hop == 1 ? 1259 : 2999);  // the reference is quadratic in hops
    StreamingSeparator separator(model, options(StreamingMode::kCarry, hop, lookahead));
    EXPECT_LE(distance(stream(separator, mixture, 1), reference(*model, mixture, separator.options())),
              kTolerance);
  }
}

TEST(Streaming, CarryOfACausalModelEqualsTheWholeSignalAtOnce) {
  ModelConfig config = small_config();
  config.time_direction = TimeDirection::kForward;
  const auto model = random_model(config);
  const AudioBuffer mixture = random_mixture(2, 6000);
  FrameTransform transform(config.stft);
  const Spectrogram spectrogram = stft(mixture, transform);
  const auto whole =
      synthesise(mixture, estimate_window(*model, spectrogram, 0, spectrogram.frames), config.stft);
  for (const int64_t hop : {1, 2, 5, 30})
    for (const int64_t lookahead : {0, 4}) {
      SCOPED_TRACE(testing::Message() << hop << " | " << lookahead);
      StreamingSeparator separator(model, options(StreamingMode::kCarry, hop, lookahead));
      EXPECT_LE(distance(stream(separator, mixture, 1), whole), kTolerance);
    }
}

TEST(Streaming, WholeRemainingSignalAsLookAheadEqualsOffline) {
  const auto model = random_model(small_config());
  const AudioBuffer mixture = random_mixture(2, 4000);
  OfflineOptions one_window;
  one_window.window_frames = 1000;
  const auto offline = separate_offline(model, mixture, one_window);
  for (const StreamingMode mode : {StreamingMode::kCarry, StreamingMode::kRolling}) {
    StreamingSeparator separator(model, options(mode, 5, 1000, 1000));
    EXPECT_LE(distance(stream(separator, mixture, 1), offline), kTolerance);
  }
  // The context matters to this network, so that the equality above says something.
  StreamingSeparator blind(model, options(StreamingMode::kRolling, 5, 0, 0));
  EXPECT_GT(distance(stream(blind, mixture, 1), offline), 100 * kTolerance);
}

TEST(Streaming, SizesOfThePiecesDoNotMatter) {
  ModelConfig config = small_config();
  config.stems = {"vocals", "drums"};
  const auto model = random_model(config);
  const AudioBuffer mixture = random_mixture(2, 5000);
  std::mt19937 generator(3);
  const Sizes sizes[] = {[] { return 1; }, [] { return 60; }, [] { return 441; },
                         [&] { return std::uniform_int_distribution<int64_t>(0, 700)(generator); }};
  for (const StreamingMode mode : {StreamingMode::kCarry, StreamingMode::kRolling}) {
    StreamingSeparator separator(model, options(mode, 6, 4, 8));
    const auto expected = stream(separator, mixture, 2);
    for (const Sizes& size : sizes) {
      separator.reset();
      EXPECT_EQ(distance(stream(separator, mixture, 2, size), expected), 0.0);
    }
  }
}

TEST(Streaming, AsManySamplesOutAsIn) {
  const auto model = random_model(small_config());
  for (const StreamingMode mode : {StreamingMode::kCarry, StreamingMode::kRolling})
    for (const int64_t length : {0, 1, 59, 60, 61, 128, 129, 255, 256, 257, 600, 1000}) {
      SCOPED_TRACE(length);
      StreamingSeparator separator(model, options(mode, 4, 2, 4));
      const AudioBuffer mixture = random_mixture(2, length);
      const auto outputs = stream(separator, mixture, 1, [] { return 100; });
      if (length > 0) {
        EXPECT_LE(distance(outputs, reference(*model, mixture, separator.options())), kTolerance);
      }
    }
}

TEST(Streaming, StemsAndRestSumToTheMixture) {
  const auto model = random_model(small_config());
  const AudioBuffer mixture = random_mixture(2, 3000);
  StreamingSeparator separator(model, options(StreamingMode::kCarry, 4, 2));
  const auto outputs = stream(separator, mixture, 1);
  for (size_t i = 0; i < mixture.samples.size(); ++i)
    ASSERT_EQ(outputs[1].samples[i], mixture.samples[i] - outputs[0].samples[i]);
}

TEST(Streaming, DelayIsExact) {
  const auto model = random_model(small_config());
  for (const auto& [mode, hop, lookahead] : {std::tuple{StreamingMode::kCarry, 1, 0},
                                             {StreamingMode::kCarry, 5, 3},
                                             {StreamingMode::kRolling, 4, 7}}) {
    StreamingSeparator separator(model, options(mode, hop, lookahead, 6));
    const StftSpec& spec = model->config().stft;
    EXPECT_EQ(separator.delay_samples(), (hop + lookahead) * spec.hop + spec.n_fft - spec.hop);
    EXPECT_EQ(separator.delay_samples(), streaming_delay_samples(spec, separator.options()));
    const float silence[2] = {};
    int64_t longest = 0;
    for (int64_t pushed = 1; pushed <= 3000; ++pushed) {
      separator.push(silence, 1);
      // Sample available() is the first that is still inside: it came pushed - available() samples ago.
      longest = std::max(longest, pushed - separator.available());
    }
    // It leaves with the next push, when delay_samples() samples from it on are in.
    EXPECT_EQ(longest, separator.delay_samples() - 1);
  }
}

TEST(Streaming, NotFiniteSamplesAreSilenceAndPoisonNothing) {
  const auto model = random_model(small_config());
  AudioBuffer silenced = random_mixture(2, 3000);
  AudioBuffer broken = silenced;
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity(), 3e38f};
  for (int64_t i = 1000; i < 1100; ++i)
    for (int c = 0; c < 2; ++c) {
      silenced.channel(c)[i] = 0.0f;
      broken.channel(c)[i] = bad[i % 4];
    }
  for (const StreamingMode mode : {StreamingMode::kCarry, StreamingMode::kRolling}) {
    StreamingSeparator separator(model, options(mode, 4, 2, 8));
    const auto expected = stream(separator, silenced, 1);
    separator.reset();
    EXPECT_EQ(distance(stream(separator, broken, 1), expected), 0.0);
  }
}

TEST(Streaming, MonoIsTheMeanOverChannels) {
  const auto model = random_model(small_config());
  const AudioBuffer mono = random_mixture(1, 3000);
  AudioBuffer both(2, mono.frames);
  for (int c = 0; c < 2; ++c) std::copy_n(mono.channel(0), mono.frames, both.channel(c));
  StreamingSeparator stereo_separator(model, options(StreamingMode::kCarry, 4, 2));
  const auto stereo = stream(stereo_separator, both, 1);
  StreamingSeparator mono_separator(model, options(StreamingMode::kCarry, 4, 2, 0, 1));
  const auto outputs = stream(mono_separator, mono, 1);
  for (int64_t i = 0; i < mono.frames; ++i) {
    const float expected = (stereo[0].channel(0)[i] + stereo[0].channel(1)[i]) / 2.0f;
    ASSERT_EQ(outputs[0].channel(0)[i], expected);
    ASSERT_EQ(outputs[1].channel(0)[i], mono.channel(0)[i] - expected);
  }
}

TEST(Streaming, OutputsThatNobodyWantsAreSkipped) {
  const auto model = random_model(small_config());
  const AudioBuffer mixture = random_mixture(1, 2000);
  StreamingSeparator separator(model, options(StreamingMode::kCarry, 4, 2, 0, 1));
  const auto expected = stream(separator, mixture, 1);
  separator.reset();
  separator.push(mixture.channel(0), mixture.frames);
  separator.finish();
  std::vector<float> rest(2000);
  float* outputs[] = {nullptr, rest.data()};
  ASSERT_EQ(separator.pull(outputs, 2000), 2000);
  EXPECT_EQ(rest, expected[1].samples);
}

TEST(Streaming, WarmUpLeavesTheSignalAlone) {
  const auto model = random_model(small_config());
  const AudioBuffer mixture = random_mixture(2, 2000);
  for (const StreamingMode mode : {StreamingMode::kCarry, StreamingMode::kRolling}) {
    StreamingSeparator separator(model, options(mode, 4, 2, 4));
    const auto expected = stream(separator, mixture, 1);
    separator.reset();
    EXPECT_GT(separator.warm_up_ns(), 0);
    EXPECT_EQ(distance(stream(separator, mixture, 1), expected), 0.0);
  }
}

TEST(Streaming, ResetAfterAFailureStartsAnew) {
  const auto model = random_model(small_config());
  const AudioBuffer mixture = random_mixture(2, 2000);
  StreamingSeparator separator(model, options(StreamingMode::kCarry, 4, 2));
  const auto expected = stream(separator, mixture, 1);
  separator.reset();
  int runs = 0;
  set_run_hook(*model, [&](int64_t) {
    if (++runs == 3) throw std::runtime_error("the third run breaks\nsecond line");
  });
  const std::vector<float> silence(4000, 0.0f);
  try {
    separator.push(silence.data(), 2000);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailed);
    EXPECT_NE(std::string(error.what()).find("the third run breaks"), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find("second line"), std::string::npos) << error.what();
  }
  set_run_hook(*model, nullptr);
  separator.reset();
  EXPECT_EQ(distance(stream(separator, mixture, 1), expected), 0.0);
}

// In the words that LibTorch has for them.
TEST(Streaming, FailuresAreToldApart) {
  const std::pair<const char*, ErrorCode> failures[] = {
      {"CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later",
       ErrorCode::kDevice},
      {"CUDA driver error: device not ready", ErrorCode::kDevice},
      {"CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`", ErrorCode::kDevice},
      {"CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`", ErrorCode::kOutOfMemory},
      {"cuFFT error: CUFFT_EXEC_FAILED", ErrorCode::kDevice},
      {"cuFFT error: CUFFT_ALLOC_FAILED", ErrorCode::kOutOfMemory},
      {"CUDA error: out of memory", ErrorCode::kOutOfMemory},
      {"CUDA out of memory. Tried to allocate 20.00 MiB", ErrorCode::kOutOfMemory},
      {"The size of tensor a must match the size of tensor b", ErrorCode::kFailed}};
  const auto model = random_model(small_config());
  StreamingSeparator separator(model, options(StreamingMode::kCarry, 4, 2));
  const std::vector<float> silence(4000, 0.0f);
  for (const auto& [message, code] : failures) {
    set_run_hook(*model, [&message = message](int64_t) { throw std::runtime_error(message); });
    separator.reset();
    try {
      separator.push(silence.data(), 2000);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  }
  set_run_hook(*model, nullptr);
}

TEST(Streaming, ResultsThatAreNotFiniteAreAnError) {
  StreamingSeparator separator(overflowing_model(small_config()), options(StreamingMode::kCarry, 4, 2));
  const AudioBuffer mixture = random_mixture(1, 4000);
  try {
    separator.push(mixture.channel(0), 2000);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailed);
    EXPECT_NE(std::string(error.what()).find("not finite"), std::string::npos) << error.what();
  }
}

TEST(Streaming, SettingsThatCannotWorkAreRefused) {
  const auto model = random_model(small_config());
  ModelConfig transformer = small_config();
  transformer.kind = BlockKind::kTransformer;
  const auto baseline = random_model(transformer);
  const auto refused = [](const std::shared_ptr<const Model>& m, const StreamingOptions& o) {
    try {
      StreamingSeparator separator(m, o);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kSettings;
    }
    return false;
  };
  EXPECT_TRUE(refused(model, options(StreamingMode::kCarry, 0, 0)));
  EXPECT_TRUE(refused(model, options(StreamingMode::kCarry, 1, -1)));
  EXPECT_TRUE(refused(model, options(StreamingMode::kRolling, 1, 0, -1)));
  EXPECT_TRUE(refused(model, options(StreamingMode::kCarry, 1, 0, 0, 3)));
  EXPECT_TRUE(refused(model, options(StreamingMode::kCarry, 1, 0, 0, 0)));
  EXPECT_TRUE(refused(baseline, options(StreamingMode::kCarry, 4, 2)));

  const AudioBuffer mixture = random_mixture(2, 1500);
  StreamingSeparator rolling(baseline, options(StreamingMode::kRolling, 4, 2, 6));
  EXPECT_LE(distance(stream(rolling, mixture, 1), reference(*baseline, mixture, rolling.options())),
            kTolerance);
  const float more[2] = {};
  EXPECT_THROW(rolling.push(more, 1), Error);  // after the end
}

}  // namespace
}  // namespace bsm::test
