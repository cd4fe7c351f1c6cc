// Offline separation against windows cut and cross-faded by hand.
#include "separate/offline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>

#include "core/error.h"
#include "core/log.h"
#include "separate_test_util.h"

namespace bsm::test {
namespace {

constexpr double kTolerance = 1e-5;

OfflineOptions windows(int64_t window, int64_t overlap, int batch = 1) {
  OfflineOptions options;
  options.window_frames = window;
  options.overlap_frames = overlap;
  options.batch = batch;
  return options;
}

/// The definition of offline.h as weighted sums: every window adds weight * estimate to every frame it
/// covers.
std::vector<AudioBuffer> reference(const Model& model, const AudioBuffer& mixture, int64_t window,
                                   int64_t overlap) {
  FrameTransform transform(model.config().stft);
  const Spectrogram spectrogram = stft(mixture, transform);
  const int64_t total = spectrogram.frames;
  const int64_t step = window - overlap;
  std::vector<Spectrogram> sums(model.config().stems.size(),
                                Spectrogram(spectrogram.channels, spectrogram.bins, total));
  for (int64_t counts_from = 0;; counts_from += step) {
    const bool whole = counts_from + window <= total;
    const int64_t end = whole ? counts_from + window : total;
    const int64_t begin = whole || overlap == 0 ? counts_from : std::max<int64_t>(total - window, 0);
    const auto estimates = estimate_window(model, spectrogram, begin, end);
    const bool last = end == total;
    for (int64_t t = counts_from; t < end; ++t) {
      float weight = 1.0f;
      const float denominator = static_cast<float>(overlap + 1);
      if (counts_from > 0 && t < counts_from + overlap)
        weight = static_cast<float>(t - counts_from + 1) / denominator;
      if (!last && t >= counts_from + step)
        weight = 1.0f - static_cast<float>(t - counts_from - step + 1) / denominator;
      for (size_t s = 0; s < sums.size(); ++s)
        for (int64_t i = 0; i < spectrogram.frame_size(); ++i)
          sums[s].frame(t)[i] += weight * estimates[s].frame(t - begin)[i];
    }
    if (last) break;
  }
  return synthesise(mixture, sums, model.config().stft);
}

TEST(Offline, EqualsWindowsCutAndFadedByHand) {
  ModelConfig config = small_config();
  config.stems = {"vocals", "drums"};
  const auto model = random_model(config);
  // 20 + n * 15 frames fill whole windows; the lengths also leave 1 and 14 frames over, and fewer than an
  // overlap.
  for (const int64_t frames : {1, 5, 19, 20, 21, 34, 35, 36, 49, 50, 51, 100})
    for (const auto& [window, overlap] : {std::pair{20, 5}, {20, 10}, {20, 0}, {7, 1}}) {
      const int64_t length = (frames - 1) * config.stft.hop + 7;
      SCOPED_TRACE(testing::Message() << length << " samples, windows " << window << ", overlap " << overlap);
      const AudioBuffer mixture = random_mixture(2, length);
      EXPECT_LE(distance(separate_offline(model, mixture, windows(window, overlap)),
                         reference(*model, mixture, window, overlap)),
                kTolerance);
    }
}

TEST(Offline, BatchesDoNotMatter) {
  const auto model = random_model(small_config());
  const AudioBuffer mixture = random_mixture(2, 9000);
  const auto expected = separate_offline(model, mixture, windows(20, 5, 1));
  for (const int batch : {2, 3, 4, 50})
    EXPECT_LE(distance(separate_offline(model, mixture, windows(20, 5, batch)), expected), 1e-6);
}

TEST(Offline, AsManySamplesOutAsInAndTheSumIsTheMixture) {
  const auto model = random_model(small_config());
  for (const int64_t length : {0, 1, 2, 59, 60, 61, 128, 129, 255, 256, 257, 4000})
    for (const int channels : {1, 2}) {
      SCOPED_TRACE(length);
      const AudioBuffer mixture = random_mixture(channels, length);
      int64_t written = 0;
      int64_t read = 0;
      OfflineSeparator separator(model, windows(20, 5));
      separator.run(
          channels,
          [&](float* const* planar, int64_t max_frames) {
            const int64_t count = std::min({max_frames, length - read, int64_t{37}});
            for (int c = 0; c < channels; ++c) std::copy_n(mixture.channel(c) + read, count, planar[c]);
            read += count;
            return count;
          },
          [&](const float* const* const* outputs, int64_t frames) {
            for (int c = 0; c < channels; ++c)
              for (int64_t i = 0; i < frames; ++i)
                ASSERT_EQ(outputs[1][c][i], mixture.channel(c)[written + i] - outputs[0][c][i]);
            written += frames;
          });
      EXPECT_EQ(written, length);
    }
}

TEST(Offline, HoldsNoMoreThanItsWindows) {
  const auto model = random_model(small_config());
  const int64_t hop = model->config().stft.hop;
  for (const int batch : {1, 3}) {
    int64_t read = 0;
    int64_t written = 0;
    int64_t most_held = 0;
    OfflineSeparator(model, windows(20, 5, batch))
        .run(
            1,
            [&](float* const* planar, int64_t) {
              most_held = std::max(most_held, read - written);
              const int64_t count = read < 60'000 ? 100 : 0;
              std::fill_n(planar[0], count, 0.25f);
              read += count;
              return count;
            },
            [&](const float* const* const*, int64_t frames) { written += frames; });
    EXPECT_EQ(written, 60'000);
    EXPECT_LE(most_held, (20 + (batch - 1) * 15 + 5) * hop + 256 + 100);
  }
}

TEST(Offline, PaperIsBackToBackWindowsOf8s) {
  ModelConfig config = small_config();
  config.stft = {256, 256, 128};
  config.sample_rate_hz = 1600;  // 8 s are 100 frames
  const auto model = random_model(config);
  const AudioBuffer mixture = random_mixture(2, 250 * 128);
  EXPECT_EQ(OfflineOptions::paper().overlap_frames, 0);
  EXPECT_LE(
      distance(separate_offline(model, mixture, OfflineOptions::paper()), reference(*model, mixture, 100, 0)),
      kTolerance);
  // Default: the same windows, an eighth of each shared.
  EXPECT_LE(distance(separate_offline(model, mixture), reference(*model, mixture, 100, 12)), kTolerance);
}

TEST(Offline, BatchIsHalvedWhenMemoryRunsOut) {
  const auto model = random_model(small_config());
  const AudioBuffer mixture = random_mixture(2, 9000);
  const auto expected = separate_offline(model, mixture, windows(20, 5, 1));
  std::vector<int64_t> batches;
  const auto run_with_room_for = [&](int64_t room) {
    batches.clear();
    set_run_hook(*model, [&batches, room](int64_t batch) {
      if (batch > room) throw std::bad_alloc();
      batches.push_back(batch);
    });
    set_log_sink([](LogLevel, const char*, void*) {}, nullptr);
    const auto outputs = separate_offline(model, mixture, windows(20, 5, 8));
    set_log_sink(nullptr, nullptr);
    return outputs;
  };
  EXPECT_LE(distance(run_with_room_for(3), expected), 1e-6);
  EXPECT_EQ(*std::max_element(batches.begin(), batches.end()), 2);
  try {
    run_with_room_for(0);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  }
  set_log_sink(nullptr, nullptr);
  set_run_hook(*model, nullptr);
}

TEST(Offline, MonoIsTheMeanOverChannels) {
  const auto model = random_model(small_config());
  const AudioBuffer mono = random_mixture(1, 3000);
  AudioBuffer both(2, mono.frames);
  for (int c = 0; c < 2; ++c) std::copy_n(mono.channel(0), mono.frames, both.channel(c));
  const auto stereo = separate_offline(model, both, windows(20, 5));
  const auto outputs = separate_offline(model, mono, windows(20, 5));
  for (int64_t i = 0; i < mono.frames; ++i)
    ASSERT_EQ(outputs[0].channel(0)[i], (stereo[0].channel(0)[i] + stereo[0].channel(1)[i]) / 2.0f);
}

TEST(Offline, SettingsThatCannotWorkAreRefused) {
  const auto model = random_model(small_config());
  EXPECT_THROW(OfflineSeparator(model, windows(-1, 0)), Error);
  EXPECT_THROW(OfflineSeparator(model, windows(20, 11)), Error);
  EXPECT_THROW(OfflineSeparator(model, windows(20, -2)), Error);
  EXPECT_THROW(OfflineSeparator(model, windows(20, 5, -1)), Error);
  EXPECT_THROW(separate_offline(model, random_mixture(3, 100), windows(20, 5)), Error);
}

}  // namespace
}  // namespace bsm::test
