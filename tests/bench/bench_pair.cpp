// Time of a block of two mixers per token (one element of one sequence), both directions: the fused CPU
// operator on each instruction set against plain tensor operators, at the sizes of the shipped small model
// and of the published network.
//
//   bench_pair --benchmark_filter=fused.*threads:1
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <string>

#include "nn/blocks.h"
#include "nn/cpu/cpu_level.h"

namespace bsm {
namespace {

struct Shape {
  const char* name;
  int64_t frames, bands;
  int dim, expand, state;
  Axis axis;
  int64_t state_at;  // < 0: no state
};

const Shape kShapes[] = {
    {"small/bands", 100, 40, 96, 2, 64, Axis::kBand, -1},
    {"small/time_carry", 50, 40, 96, 2, 64, Axis::kTime, 25},
    {"small/time_400", 400, 40, 96, 2, 64, Axis::kTime, -1},
    {"published/bands", 50, 62, 256, 4, 128, Axis::kBand, -1},
    {"published/time_800", 800, 8, 256, 4, 128, Axis::kTime, -1},
};

void run(benchmark::State& bench, const Shape& shape, MixerBackend backend, int threads, CpuLevel level) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(1);
  ModelConfig config;
  config.dim = shape.dim, config.mamba2.expand = shape.expand, config.mamba2.state = shape.state;
  const int threads_before = at::get_num_threads();
  at::set_num_threads(threads);
  set_mixer_backend(backend);
  force_cpu_level(level);
  const auto block = make_axis_block(config, shape.axis);
  block->prepare_inference();
  const torch::Tensor x = torch::randn({1, shape.frames, shape.bands, shape.dim});
  MixerState state;
  for (auto _ : bench)
    benchmark::DoNotOptimize(block->forward({x.clone(), {}}, shape.state_at < 0 ? nullptr : &state,
                                            std::max<int64_t>(shape.state_at, 0)));
  force_cpu_level(std::nullopt);
  set_mixer_backend(MixerBackend::kAuto);
  at::set_num_threads(threads_before);
  bench.counters["token"] =
      benchmark::Counter(static_cast<double>(bench.iterations() * shape.frames * shape.bands),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void register_all() {
  for (const Shape& shape : kShapes) {
    for (int threads : {1, 2}) {
      const auto add = [&](const std::string& kind, MixerBackend backend, CpuLevel level) {
        const std::string name = std::string(shape.name) + "/" + kind + "/threads:" + std::to_string(threads);
        auto* bench = benchmark::RegisterBenchmark(
            name.c_str(), [=](benchmark::State& b) { run(b, shape, backend, threads, level); });
        bench->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMicrosecond);
      };
      for (const CpuKernels& kernels : available_cpu_kernels())
        add(std::string("fused_") + kernels.name, MixerBackend::kAuto, kernels.level);
      add("plain", MixerBackend::kPlain, available_cpu_kernels().back().level);
    }
  }
}

}  // namespace
}  // namespace bsm

int main(int argc, char** argv) {
  bsm::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
