#include "train/device.h"

#include <torch/torch.h>

#include <algorithm>
#include <optional>

#include "core/error.h"

namespace bsm {

torch::Device choose_device(const std::string& name, int rank, int count) {
  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (name == "auto") return choose_device(gpus > 0 ? "cuda" : "cpu", rank, count);
  std::optional<torch::Device> device;
  try {
    device.emplace(name);
  } catch (const c10::Error&) {
    device.reset();
  }
  if (!device || !(device->is_cpu() || device->is_cuda()))
    throw Error(ErrorCode::kSettings,
                "The device \"" + name + "\" is unknown; give auto, cpu, cuda or cuda:N.");
  if (device->is_cpu()) return *device;
  if (device->has_index() && count > 1)
    throw Error(ErrorCode::kSettings, "The device " + name + " is one GPU, and " + std::to_string(count) +
                                          " processes need one each; give cuda or auto.");
  if (!device->has_index()) device.emplace(torch::kCUDA, static_cast<c10::DeviceIndex>(rank));
  const int wanted = std::max(device->index() + 1, count);
  if (wanted > gpus)
    throw Error(ErrorCode::kNotFound, (count > 1 ? std::to_string(count) + " GPUs were asked for"
                                                 : "The device " + name + " does not exist") +
                                          "; LibTorch sees " + std::to_string(gpus) + " CUDA devices.");
  return *device;
}

}  // namespace bsm
