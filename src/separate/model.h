// A loaded model on a device: what offline and streaming separators share. Immutable after load, used by many
// streams. No LibTorch header is needed to use it (see model_impl.h for the other side).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "nn/config.h"

namespace bsm {

enum class Precision { kAuto, kFp32, kBf16, kFp16 };
const char* precision_name(Precision precision);

struct ModelOptions {
  std::string model_file;
  std::string device = "auto";             ///< auto, cpu, cuda, cuda:N; an explicit device never falls back
  Precision precision = Precision::kAuto;  ///< auto: fp32 on a CPU, bf16 on a GPU that has it, else fp16
  int threads = 0;  ///< CPU threads, 0 = one per physical core that the process may use
};

/// Called at each loading step, fraction 0..1. Returns false to cancel.
using LoadProgress = std::function<bool(const char* step, double fraction)>;

/// What LibTorch's allocator holds of a GPU's memory, free or in use, for the whole process.
struct DeviceMemory {
  uint64_t bytes = 0, peak_bytes = 0;
};

class Model {
 public:
  /// Throws Error: kNotFound, kOpenRead, kWrongType, kSettings, kOutOfMemory, kDevice, kCancelled,
  /// kFailed.
  static std::shared_ptr<const Model> load(const ModelOptions& options, const LoadProgress& progress = {});
  /// A network with the start values of training, to measure speed; `model_file` is not used. Throws like
  /// load().
  static std::shared_ptr<const Model> random(const ModelConfig& config, const ModelOptions& options,
                                             uint64_t seed = 0);
  ~Model();

  const ModelConfig& config() const;
  /// "cpu", "cuda:0"
  const std::string& device_name() const;
  bool on_gpu() const;
  /// Never kAuto.
  Precision precision() const;
  int64_t parameters() const;
  /// Of the model's device now. Zeros on a CPU, and where the CUDA toolkit was not there to build with.
  DeviceMemory device_memory() const;

  struct Impl;  // defined in model_impl.h, for the separators
  Impl& impl() const { return *impl_; }
  /// A model around a network that did not come from a file.
  static std::shared_ptr<const Model> wrap(std::unique_ptr<Impl> impl);

 private:
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// "LibTorch 1.13.1, OpenBLAS": the libraries that do the arithmetic.
std::string describe_libtorch();

/// Whether LibTorch multiplies with the generic reference BLAS (40 times slower than OpenBLAS).
bool blas_is_generic();

}  // namespace bsm
