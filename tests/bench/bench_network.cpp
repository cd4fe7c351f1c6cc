// Time of the network's forward pass with random weights, as the streaming separator calls it: one hop with
// look-ahead carried on from the last, and a window of a whole signal. Counts the real-time factor (time /
// duration of new audio).
//
//   bench_network models/configs/live.json --benchmark_filter=threads:1
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "nn/network.h"

namespace bsm {
namespace {

struct Piece {
  const char* name;
  int64_t frames, new_frames;
  bool carry;
};
const Piece kPieces[] = {
    {"carry_50+25_frames", 75, 50, true},
    {"carry_25+25_frames", 50, 25, true},
    {"window_400_frames", 400, 400, false},
};

void run(benchmark::State& bench, SeparationNetwork network, const Piece& piece, int threads) {
  const at::NoGradGuard no_grad;
  const ModelConfig& config = network->config();
  const at::Tensor frames = at::randn({1, piece.frames, 2 * config.channels * config.stft.bins()});
  const int threads_before = at::get_num_threads();
  at::set_num_threads(threads);
  NetworkState state;
  for (auto _ : bench)
    benchmark::DoNotOptimize(network->forward(frames, piece.carry ? &state : nullptr, piece.new_frames));
  at::set_num_threads(threads_before);
  const double new_audio_s =
      static_cast<double>(bench.iterations() * piece.new_frames * config.stft.hop) / config.sample_rate_hz;
  bench.counters["rtf"] =
      benchmark::Counter(new_audio_s, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

}  // namespace
}  // namespace bsm

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::ifstream file(argc == 2 ? argv[1] : "");
  if (!file) {
    std::fprintf(stderr, "usage: bench_network CONFIG.json [--benchmark_...]\n");
    return 2;
  }
  const nlohmann::json json = nlohmann::json::parse(file);  // of a model, or of a training with one inside
  const std::string text = json.value("model", json).dump();
  at::manual_seed(1);
  bsm::SeparationNetwork network(bsm::ModelConfig::from_json(text));
  network->eval();
  network->prepare_inference();
  for (const bsm::Piece& piece : bsm::kPieces)
    for (int threads : {1, 2})
      benchmark::RegisterBenchmark((std::string(piece.name) + "/threads:" + std::to_string(threads)).c_str(),
                                   [=](benchmark::State& bench) { bsm::run(bench, network, piece, threads); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
