// Time of the mixer core per token (one element of one sequence) and direction: the fused CPU operator on
// each instruction set against plain tensor operators, at the sizes of the shipped small model and of the
// published network.
//
//   bench_mixer --benchmark_filter=fused.*threads:1
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <string>

#include "nn/cpu/mixer_kernel.h"
#include "nn/mixer.h"

namespace bsm {
namespace {

struct Shape {
  const char* name;
  int64_t outer, length, inner, d_inner, state;
  Direction direction;
  int64_t state_at;  // < 0: no state
};

// Bands: one sequence per frame; time: one per band.
const Shape kShapes[] = {
    {"small/bands", 100, 40, 1, 192, 64, Direction::kForward, -1},
    {"small/time_carry", 1, 50, 40, 192, 64, Direction::kForward, 25},
    {"small/time_backward", 1, 50, 40, 192, 64, Direction::kBackward, -1},
    {"small/time_400", 1, 400, 40, 192, 64, Direction::kForward, -1},
    {"published/bands", 50, 62, 1, 1024, 128, Direction::kForward, -1},
    {"published/time_800", 1, 800, 8, 1024, 128, Direction::kForward, -1},
};

void run(benchmark::State& bench, const Shape& shape, MixerBackend backend, int threads, CpuLevel level) {
  const at::NoGradGuard no_grad;
  at::manual_seed(1);
  const MixerSizes s{shape.d_inner, shape.state, 64, 4};
  const MixerWeights weights{at::randn({s.conv_channels(), s.conv_width}) * 0.5,
                             at::randn({s.conv_channels()}),
                             at::randn({s.heads()}) - 4.0,
                             at::rand({s.heads()}) * 2.8,
                             at::ones({s.heads()}),
                             at::ones({s.d_inner})};
  const at::Tensor input = at::randn({shape.outer, shape.length, shape.inner, s.in_proj_width()});
  MixerState state;
  const int threads_before = at::get_num_threads();
  at::set_num_threads(threads);
  set_mixer_backend(backend);
  force_cpu_level(level);
  for (auto _ : bench)
    benchmark::DoNotOptimize(mixer_core(input, weights, s, shape.direction,
                                        shape.state_at < 0 ? nullptr : &state,
                                        std::max<int64_t>(shape.state_at, 0)));
  force_cpu_level(std::nullopt);
  set_mixer_backend(MixerBackend::kAuto);
  at::set_num_threads(threads_before);
  bench.counters["token"] =
      benchmark::Counter(static_cast<double>(bench.iterations() * shape.outer * shape.length * shape.inner),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void register_all() {
  for (const Shape& shape : kShapes) {
    for (int threads : {1, 2}) {
      const auto add = [&](const std::string& kind, MixerBackend backend, CpuLevel level) {
        const std::string name = std::string(shape.name) + "/" + kind + "/threads:" + std::to_string(threads);
        auto* bench = benchmark::RegisterBenchmark(
            name.c_str(), [=](benchmark::State& b) { run(b, shape, backend, threads, level); });
        bench->UseRealTime()->Unit(benchmark::kMicrosecond);
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
