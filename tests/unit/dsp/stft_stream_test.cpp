// Streaming against whole-signal transforms: equal to the last bit, whatever the sizes of the pieces.
#include "dsp/stft_stream.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <new>
#include <thread>

#include "core/error.h"
#include "signals.h"

namespace {
thread_local int64_t allocations = 0;
}  // namespace

// Counts what the streams allocate (see NoAllocationInSteadyState).
void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace bsm::test {
namespace {

using Sizes = std::function<int64_t()>;

std::vector<std::pair<std::string, Sizes>> piece_sizes() {
  auto generator = std::make_shared<std::mt19937>(7);
  return {{"1", [] { return 1; }},
          {"441", [] { return 441; }},
          {"1000", [] { return 1000; }},
          {"all", [] { return 1 << 20; }},
          {"random", [generator] { return std::uniform_int_distribution<int64_t>(0, 3000)(*generator); }}};
}

/// Pushes in pieces and pops what is there after each piece.
std::vector<float> stream_stft(StftStream& stream, const AudioBuffer& audio, const Sizes& sizes,
                               int64_t frame_size) {
  std::vector<float> values;
  const auto drain = [&] {
    const int64_t count = stream.available();
    const size_t old = values.size();
    values.resize(old + static_cast<size_t>(count * frame_size));
    EXPECT_EQ(stream.pop_frames(values.data() + old, count), count);
  };
  for (int64_t at = 0; at < audio.frames;) {
    const int64_t count = std::min(sizes(), audio.frames - at);
    const float* planar[] = {audio.channel(0) + at, audio.channel(1) + at};
    stream.push(planar, count);
    at += count;
    drain();
  }
  stream.finish();
  drain();
  return values;
}

AudioBuffer stream_istft(IstftStream& stream, const Spectrogram& spectrogram, int64_t samples,
                         const Sizes& sizes) {
  AudioBuffer audio(2, samples);
  int64_t popped = 0;
  const auto drain = [&] {
    while (const int64_t count = std::min(stream.available(), std::max<int64_t>(sizes(), 1))) {
      float* planar[] = {audio.channel(0) + popped, audio.channel(1) + popped};
      EXPECT_EQ(stream.pop(planar, count), count);
      popped += count;
    }
  };
  for (int64_t t = 0; t < spectrogram.frames;) {
    const int64_t count = std::min(sizes() % 17, spectrogram.frames - t);
    stream.push_frames(spectrogram.frame(t), std::max<int64_t>(count, 1));
    t += std::max<int64_t>(count, 1);
    if (t < spectrogram.frames) drain();
  }
  stream.finish(samples);
  drain();
  EXPECT_EQ(popped, samples);
  return audio;
}

TEST(StftStream, EqualsWholeSignalToTheLastBit) {
  for (const int hop : kHops) {
    const StftSpec spec = spec_with_hop(hop);
    FrameTransform transform(spec);
    StftStream analysis(spec, 2);
    IstftStream synthesis(spec, 2);
    for (const int64_t length : kLengths)
      for (auto& [name, sizes] : piece_sizes()) {
        SCOPED_TRACE(label(length, hop) + ", pieces of " + name);
        const AudioBuffer audio = noise(2, length, 8);
        const Spectrogram whole = stft(audio, transform);
        analysis.reset();  // also: a used stream starts anew
        EXPECT_EQ(stream_stft(analysis, audio, sizes, whole.frame_size()), whole.values);

        Spectrogram changed = whole;
        const AudioBuffer factors = noise(1, static_cast<int64_t>(whole.values.size()), 9);
        for (size_t i = 0; i < changed.values.size(); ++i) changed.values[i] *= factors.samples[i];
        synthesis.reset();
        EXPECT_EQ(stream_istft(synthesis, changed, length, sizes).samples,
                  istft(changed, length, transform).samples);
      }
  }
}

TEST(StftStream, ThreadsChangeNothing) {
  const ForEach one_thread_each = [](int64_t count, const std::function<void(int64_t)>& body) {
    std::vector<std::jthread> threads;
    for (int64_t i = 0; i < count; ++i) threads.emplace_back(body, i);
  };
  const StftSpec spec;
  const AudioBuffer audio = noise(2, 50'000, 12);
  FrameTransform transform(spec);
  const Spectrogram whole = stft(audio, transform);
  for (const int threads : {2, 3, 64}) {
    for (auto& [name, sizes] : piece_sizes()) {
      SCOPED_TRACE(std::to_string(threads) + " threads, pieces of " + name);
      StftStream analysis(spec, 2, one_thread_each, threads);
      IstftStream synthesis(spec, 2, one_thread_each, threads);
      EXPECT_EQ(stream_stft(analysis, audio, sizes, whole.frame_size()), whole.values);
      EXPECT_EQ(stream_istft(synthesis, whole, audio.frames, sizes).samples,
                istft(whole, audio.frames, transform).samples);
    }
  }
}

TEST(StftStream, FramesAndSamplesAppearAsEarlyAsTheyCan) {
  const StftSpec spec;
  StftStream analysis(spec, 1);
  const std::vector<float> zeros(2048, 0.0f);
  const float* planar[] = {zeros.data()};
  analysis.push(planar, 1024);
  EXPECT_EQ(analysis.available(), 0);
  analysis.push(planar, 1);  // frame 0 mirrors samples 1..1024
  EXPECT_EQ(analysis.available(), 1);
  analysis.push(planar, 439);
  EXPECT_EQ(analysis.available(), 1);
  analysis.push(planar, 1);  // frame 1 ends before sample 441 + 1024
  EXPECT_EQ(analysis.available(), 2);

  IstftStream synthesis(spec, 1);
  const std::vector<float> frames(static_cast<size_t>(4 * 2 * spec.bins()), 0.0f);
  synthesis.push_frames(frames.data(), 2);
  EXPECT_EQ(synthesis.available(), 0);
  synthesis.push_frames(frames.data(), 1);  // frame 3 starts at 3 * 441 - 1024 = 299
  EXPECT_EQ(synthesis.available(), 299);
  synthesis.push_frames(frames.data(), 1);
  EXPECT_EQ(synthesis.available(), 740);
}

TEST(StftStream, EmptySignalEnds) {
  StftStream analysis(StftSpec(), 2);
  analysis.finish();
  EXPECT_EQ(analysis.available(), 1);
  IstftStream synthesis(StftSpec(), 2);
  synthesis.finish(0);
  EXPECT_EQ(synthesis.available(), 0);
}

TEST(StftStream, SamplesBeyondTheFramesAreSilence) {
  const StftSpec spec;
  IstftStream stream(spec, 1);
  const std::vector<float> frame(static_cast<size_t>(2 * spec.bins()), 1.0f);
  stream.push_frames(frame.data(), 1);
  stream.finish(3000);
  std::vector<float> samples(3000, 5.0f);
  float* planar[] = {samples.data()};
  ASSERT_EQ(stream.pop(planar, 5000), 3000);
  for (size_t s = 1024; s < samples.size(); ++s) ASSERT_EQ(samples[s], 0.0f);
  EXPECT_THROW(stream.finish(2999), Error);
}

TEST(StftStream, NoAllocationInSteadyState) {
  const StftSpec spec;
  StftStream analysis(spec, 2);
  IstftStream synthesis(spec, 2);
  const AudioBuffer audio = noise(2, 1024, 10);
  const float* in[] = {audio.channel(0), audio.channel(1)};
  AudioBuffer result(2, 8192);
  float* out[] = {result.channel(0), result.channel(1)};
  std::vector<float> frames(static_cast<size_t>(8 * 4 * spec.bins()));
  const auto pass = [&](int64_t size) {
    analysis.push(in, size);
    const int64_t count = analysis.pop_frames(frames.data(), 8);
    synthesis.push_frames(frames.data(), count);
    synthesis.pop(out, 8192);
  };
  for (int i = 0; i < 100; ++i) pass(i % 3 == 0 ? 1024 : 441);
  const int64_t before = allocations;
  for (int i = 0; i < 2000; ++i) pass(i % 5 == 0 ? 1024 : 300);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace bsm::test
