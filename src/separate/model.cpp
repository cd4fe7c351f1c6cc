// Loading: file -> network -> device, with every failure as a sentence.
#include "separate/model.h"

#include <ATen/Context.h>
#include <torch/nn/module.h>

#include "core/error.h"
#include "core/log.h"
#include "nn/weights.h"
#include "separate/cpu_threads.h"
#include "separate/device_choice.h"
#include "separate/device_memory.h"
#include "separate/libtorch_info.h"
#include "separate/model_impl.h"

namespace bsm {
namespace {

void report(const LoadProgress& progress, const char* step, double fraction) {
  if (progress && !progress(step, fraction))
    throw Error(ErrorCode::kCancelled, std::string("Loading the model was cancelled before: ") + step + ".");
}

torch::Dtype compute_dtype(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return torch::kBFloat16;
    case Precision::kFp16:
      return torch::kFloat16;
    default:
      return torch::kFloat32;
  }
}

/// A Mamba2 network at float32 computes its products itself.
void warn_of_slow_blas(const ModelConfig& config, Precision precision) {
  if (!blas_is_generic() || (config.kind == BlockKind::kMamba2 && precision == Precision::kFp32)) return;
  log(LogLevel::kWarning,
      "LibTorch multiplies matrices with the generic reference BLAS (" + blas_library().path +
          "), about 40 times slower than OpenBLAS: install the package libopenblas0-pthread.");
}

/// Device, network, precision: the steps that all models share.
std::shared_ptr<const Model> make(const ModelOptions& options, const LoadProgress& progress,
                                  const std::string& doing,
                                  const std::function<SeparationNetwork()>& make_network) {
  if (options.threads < 0 || options.threads > 1024)
    throw Error(ErrorCode::kSettings, "The number of threads " + std::to_string(options.threads) +
                                          " cannot work; give 1 to 1024, or 0 for one per physical core.");
  auto impl = std::make_unique<Model::Impl>();
  impl->threads = options.threads > 0 ? options.threads : physical_cores();
  translate_errors(doing, [&] {
    // Loading is a thousand small operations: LibTorch's other threads would spin between them.
    const CpuThreadScope one_thread(1);
    report(progress, "finding the device", 0.0);
    impl->device = choose_device(options.device);
    impl->device_name = impl->device.str();
    impl->stft_on_device = !impl->device.is_cpu();
    impl->precision = choose_precision(options.precision, impl->device);
    // Of the precisions only fp32 is concerned: factors keep 11 bits, sums 24, at several times the speed.
    if (impl->device.is_cuda()) at::globalContext().setAllowTF32CuBLAS(true);

    impl->network = make_network();
    if (impl->device.is_cpu()) warn_of_slow_blas(impl->network->config(), impl->precision);
    impl->parameters = parameter_count(impl->network);

    report(progress, "moving the weights to the device", 0.7);
    impl->network->eval();
    if (!impl->device.is_cpu()) impl->network->to(impl->device);
    impl->network->set_compute_dtype(compute_dtype(impl->precision));
    impl->network->prepare_inference();
    report(progress, "ready", 1.0);
  });
  return Model::wrap(std::move(impl));
}

}  // namespace

const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::kAuto:
      return "auto";
    case Precision::kFp32:
      return "fp32";
    case Precision::kBf16:
      return "bf16";
    case Precision::kFp16:
      return "fp16";
  }
  return "unknown";
}

std::shared_ptr<const Model> Model::load(const ModelOptions& options, const LoadProgress& progress) {
  return make(options, progress, "loading " + options.model_file, [&] {
    report(progress, "reading the file", 0.1);
    return load_network(options.model_file);
  });
}

std::shared_ptr<const Model> Model::random(const ModelConfig& config, const ModelOptions& options,
                                           uint64_t seed) {
  return make(options, {}, "making a random network", [&] { return make_random_network(config, seed); });
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

const ModelConfig& Model::config() const { return impl_->network->config(); }
const std::string& Model::device_name() const { return impl_->device_name; }
bool Model::on_gpu() const { return !impl_->device.is_cpu(); }
Precision Model::precision() const { return impl_->precision; }
int64_t Model::parameters() const { return impl_->parameters; }
DeviceMemory Model::device_memory() const { return memory_held_on(impl_->device); }

std::shared_ptr<const Model> Model::wrap(std::unique_ptr<Impl> impl) {
  return std::shared_ptr<const Model>(new Model(std::move(impl)));
}

}  // namespace bsm
