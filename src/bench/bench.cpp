#include "bench/bench.h"

#include <torch/types.h>

#include <cstdlib>

#include "separate/cpu_threads.h"
#include "separate/device_choice.h"
#include "separate/model_impl.h"

namespace bsm {
namespace {

/// A network and the operators that run it.
struct Contestant {
  std::string name;
  MixerBackend backend = MixerBackend::kAuto;
  bool from_file = false;
  ModelConfig config;  // unless from_file
};

class BackendScope {
 public:
  explicit BackendScope(MixerBackend backend) : before_(mixer_backend()) { set_mixer_backend(backend); }
  ~BackendScope() { set_mixer_backend(before_); }
  BackendScope(const BackendScope&) = delete;
  BackendScope& operator=(const BackendScope&) = delete;

 private:
  MixerBackend before_;
};

std::shared_ptr<const Model> load(const Contestant& contestant, const ModelOptions& options) {
  return contestant.from_file ? Model::load(options) : Model::random(contestant.config, options);
}

Workload make_workload(BenchMode mode, const std::shared_ptr<const Model>& model,
                       const WorkloadSizes& sizes) {
  switch (mode) {
    case BenchMode::kOffline:
      return offline_workload(model, sizes);
    case BenchMode::kStream:
      return stream_workload(model, sizes);
    case BenchMode::kTrain:
      return train_workload(model, sizes);
    default:
      return network_workload(model, sizes);
  }
}

const char* kind_name(const ModelConfig& config) {
  return config.kind == BlockKind::kMamba2 ? "BSMamba2" : "BS-RoFormer";
}

BenchResult run_contestant(const Contestant& contestant, const BenchOptions& options,
                           const BenchDevice& device, const Ceilings& ceilings) {
  // Before the model is made, which may choose its weights' layout by it.
  const BackendScope backend(contestant.backend);
  const std::shared_ptr<const Model> model = load(contestant, options.model);
  const CpuThreadScope threads(model->impl().threads);
  BenchResult result;
  result.name = contestant.name;
  result.parameters = model->parameters();
  translate_errors("measuring " + contestant.name, [&] {
    const Workload workload = make_workload(options.mode, model, options.sizes);
    result.note = workload.note;
    result.audio_s = workload.audio_s;
    result.network = workload.network;
    result.flop = workload.flop;
    result.bytes = workload.bytes;
    result.bound_ms = 1000 * std::max(workload.flop / ceilings.product_flop_per_s,
                                      workload.bytes / ceilings.copy_bytes_per_s);
    result.measured = measure(device, options.repeats, workload.run);
  });
  return result;
}

}  // namespace

ModelConfig comparable_roformer(const ModelConfig& config) {
  ModelConfig roformer = config;
  roformer.kind = BlockKind::kTransformer;
  roformer.time_direction = TimeDirection::kBoth;
  roformer.mamba2 = {};
  const auto resize = [&](int dim) {
    constexpr int kHeadDim = 48;  // as published
    roformer.dim = dim;
    roformer.transformer = {dim < kHeadDim ? 1 : dim / kHeadDim, dim < kHeadDim ? dim : kHeadDim, 4};
  };
  if (config == ModelConfig{}) {
    resize(384);
    return roformer;
  }
  int best_dim = 8;
  int64_t best_distance = INT64_MAX;
  for (int dim = 8; dim <= 1536; dim += dim < 48 ? 8 : 48) {
    resize(dim);
    const int64_t distance = std::abs(roformer.parameter_count() - config.parameter_count());
    if (distance < best_distance) {
      best_distance = distance;
      best_dim = dim;
    }
  }
  resize(best_dim);
  return roformer;
}

BenchReport run_bench(const BenchOptions& options, const std::function<void(const std::string&)>& progress) {
  BenchReport report;
  progress("loading");
  std::vector<Contestant> contestants;
  c10::Device device(c10::kCPU);
  c10::ScalarType dtype = torch::kFloat32;
  {
    const Contestant own{"", MixerBackend::kAuto, !options.model.model_file.empty(), options.config};
    const std::shared_ptr<const Model> model = load(own, options.model);
    device = model->impl().device;
    dtype = model->impl().network->compute_dtype();
    report.device = model->device_name();
    report.precision = precision_name(model->precision());
    report.threads = model->impl().threads;
    const ModelConfig& config = model->config();
    contestants.push_back({kind_name(config), own.backend, own.from_file, config});
    if (options.compare && config.kind == BlockKind::kMamba2) {
      contestants.push_back({"plain operators", MixerBackend::kPlain, own.from_file, config});
      contestants.push_back({"BS-RoFormer", MixerBackend::kAuto, false, comparable_roformer(config)});
    }
  }
  const BenchDevice bench_device(device);
  report.device_name = bench_device.name();
  progress("ceilings of the machine");
  translate_errors("measuring the machine", [&] {
    const CpuThreadScope threads(report.threads);
    report.ceilings = measure_ceilings(bench_device, dtype);
  });
  for (const Contestant& contestant : contestants) {
    progress(contestant.name);
    report.results.push_back(run_contestant(contestant, options, bench_device, report.ceilings));
  }
  return report;
}

}  // namespace bsm
