#include "train/device.h"

#include <torch/torch.h>

#include <optional>

#include "core/error.h"

namespace bsm {

torch::Device choose_device(const std::string& name) {
  if (name == "auto")
    return torch::cuda::is_available() ? torch::Device(torch::kCUDA, 0) : torch::Device(torch::kCPU);
  std::optional<torch::Device> device;
  try {
    device.emplace(name);
  } catch (const c10::Error&) {
    device.reset();
  }
  if (!device || !(device->is_cpu() || device->is_cuda()))
    throw Error(ErrorCode::kSettings,
                "The device \"" + name + "\" is unknown; give auto, cpu, cuda or cuda:N.");
  if (device->is_cuda()) {
    const auto count = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
    if (!device->has_index()) device.emplace(torch::kCUDA, static_cast<c10::DeviceIndex>(0));
    if (device->index() >= count)
      throw Error(ErrorCode::kNotFound, "The device " + name + " does not exist; LibTorch sees " +
                                            std::to_string(count) + " CUDA devices.");
  }
  return *device;
}

}  // namespace bsm
