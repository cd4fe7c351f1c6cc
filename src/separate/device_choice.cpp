#include "separate/device_choice.h"

#include <dlfcn.h>
#include <torch/cuda.h>

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "separate/libtorch_info.h"

namespace bsm {
namespace {

int gpu_count() { return torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0; }

std::string list_devices() {
  std::string list = "cpu";
  for (int i = 0; i < gpu_count(); ++i) list += ", cuda:" + std::to_string(i);
  return list;
}

/// Major compute capability from the driver, which is loaded wherever LibTorch sees a GPU: LibTorch itself
/// tells it only through headers of the CUDA toolkit. 0 when the driver does not answer.
int compute_capability_major(int gpu) {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY);
  if (driver == nullptr) return 0;
  constexpr int kCapabilityMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
  const auto get_device = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  const auto get_attribute = reinterpret_cast<int (*)(int*, int, int)>(dlsym(driver, "cuDeviceGetAttribute"));
  int device = 0;
  int major = 0;
  if (get_device == nullptr || get_attribute == nullptr || get_device(&device, gpu) != 0 ||
      get_attribute(&major, kCapabilityMajor, device) != 0)
    major = 0;
  dlclose(driver);
  return major;
}

}  // namespace

c10::Device choose_device(const std::string& device) {
  if (device == "cpu") return c10::Device(c10::kCPU);
  const int gpus = gpu_count();
  if (device == "auto" || device.empty())
    return gpus > 0 ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);

  const std::string prefix = "cuda:";
  const bool numbered = device.starts_with(prefix) && device.size() > prefix.size() &&
                        device.size() <= prefix.size() + 3 &&
                        std::all_of(device.begin() + static_cast<std::ptrdiff_t>(prefix.size()), device.end(),
                                    [](unsigned char c) { return std::isdigit(c) != 0; });
  if (device != "cuda" && !numbered)
    throw Error(ErrorCode::kSettings,
                "There is no kind of device \"" + device + "\"; give auto, cpu, cuda or cuda:N.");
  const int index = numbered ? std::stoi(device.substr(prefix.size())) : 0;
  if (index >= gpus)
    throw Error(ErrorCode::kNotFound, "The device " + device + " is not there (" + describe_libtorch() +
                                          "); found: " + list_devices() + ". Choose one of these, or auto.");
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

bool runs_on_gpu(const std::string& device) { return !choose_device(device).is_cpu(); }

Precision choose_precision(Precision precision, const c10::Device& device) {
  if (device.is_cpu()) {
    if (precision == Precision::kBf16 || precision == Precision::kFp16)
      throw Error(ErrorCode::kSettings, std::string("The precision ") + precision_name(precision) +
                                            " needs a GPU; on the CPU choose fp32 or auto.");
    return Precision::kFp32;
  }
  if (precision != Precision::kAuto) return precision;
  return compute_capability_major(device.index()) >= 8 ? Precision::kBf16 : Precision::kFp16;
}

}  // namespace bsm
