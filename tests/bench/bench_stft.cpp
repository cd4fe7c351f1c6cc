// Time of the STFT and its inverse per second of stereo audio on one core, as the separators run them:
// streams pushed in blocks. The counter "core_share" is that time over the duration of the audio (0.01 = 1 %
// of a core).
//
//   bench_stft
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "dsp/stft_stream.h"

namespace bsm {
namespace {

constexpr int kRate_hz = 44100;
constexpr int kBlock_samples = 4096;

void stft_and_inverse(benchmark::State& bench, StftSpec spec, bool inverse) {
  constexpr int kChannels = 2;
  std::vector<float> audio(static_cast<size_t>(kChannels) * kRate_hz);
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
  for (float& sample : audio) sample = uniform(generator);
  StftStream analysis(spec, kChannels);
  IstftStream synthesis(spec, kChannels);
  std::vector<float> frames;
  std::vector<float> out(audio.size());
  for (auto _ : bench) {  // one second of an endless stream
    for (int begin = 0; begin < kRate_hz; begin += kBlock_samples) {
      const float* planar[] = {audio.data() + begin, audio.data() + kRate_hz + begin};
      analysis.push(planar, std::min(kBlock_samples, kRate_hz - begin));
      const int64_t count = analysis.available();
      frames.resize(static_cast<size_t>(count * 2 * kChannels * spec.bins()));
      analysis.pop_frames(frames.data(), count);
      if (!inverse) continue;
      synthesis.push_frames(frames.data(), count);
      float* stems[] = {out.data(), out.data() + kRate_hz};
      synthesis.pop(stems, synthesis.available());
    }
    benchmark::DoNotOptimize(frames.data());
    benchmark::DoNotOptimize(out.data());
  }
  bench.counters["core_share"] = benchmark::Counter(
      static_cast<double>(bench.iterations()), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK_CAPTURE(stft_and_inverse, published_stft, (StftSpec{2048, 2048, 441}), false);
BENCHMARK_CAPTURE(stft_and_inverse, published_stft_istft, (StftSpec{2048, 2048, 441}), true);
BENCHMARK_CAPTURE(stft_and_inverse, live_stft_istft, (StftSpec{2048, 2048, 882}), true);

}  // namespace
}  // namespace bsm

BENCHMARK_MAIN();
