#include "train/ranks.h"

#include <torch/torch.h>
#include <torch/version.h>

#include <chrono>
#include <exception>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <vector>
#ifdef USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include "core/error.h"

namespace bsm {
namespace {

#if TORCH_VERSION_MAJOR < 2
using Backend = c10d::ProcessGroup;
#else
using Backend = c10d::Backend;
#endif

/// For a partner that hangs; one that ends is seen at once by the program that started both.
constexpr std::chrono::minutes kTimeout{30};

c10::intrusive_ptr<Backend> make_backend(const RankLink& link, const torch::Device& device) {
#ifdef USE_C10D_NCCL
  if (device.is_cuda()) {
    const auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = kTimeout;
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(
        c10::make_intrusive<c10d::FileStore>(link.rendezvous(), link.count()), link.rank(), link.count(),
        options);
  }
#endif
#ifdef USE_C10D_GLOO
  if (device.is_cpu()) {
    const auto options = c10d::ProcessGroupGloo::Options::create(kTimeout);
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
    return c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::FileStore>(link.rendezvous(), link.count()), link.rank(), link.count(),
        options);
  }
#endif
  throw Error(ErrorCode::kLibrary,
              device.is_cuda()
                  ? "This bsmamba2 was built without NCCL, so it trains on one GPU only; build it against a "
                    "LibTorch with CUDA where nccl.h is installed (libnccl-dev, or the CUDA toolkit's)."
                  : "This bsmamba2 was built without gloo, so it trains in one process only on a CPU; "
                    "install libgloo-dev and build it against the system's LibTorch.");
}

}  // namespace

struct Ranks::Group {
  c10::intrusive_ptr<Backend> backend;

  template <typename Operation>
  void run(const Operation& operation) const {
    try {
      operation()->wait();  // on a GPU the stream waits, not the processor
    } catch (const std::exception& error) {
      throw Error(ErrorCode::kFailed,
                  std::string("The processes of this training lost each other: ") + error.what());
    }
  }
};

Ranks::Ranks(const RankLink& link, const torch::Device& device) : count_(link.count()) {
  if (count_ == 1) return;
  try {
    group_ = std::make_unique<Group>(make_backend(link, device));
  } catch (const c10::Error& error) {
    throw Error(ErrorCode::kFailed, std::string("The processes of this training do not find each other: ") +
                                        error.what_without_backtrace());
  }
}

Ranks::~Ranks() = default;

void Ranks::leave() {
  if (!group_) return;
  [](auto& backend) {
    if constexpr (requires { backend.shutdown(); }) backend.shutdown();  // as of LibTorch 2.6
  }(*group_->backend);
}

void Ranks::average(const torch::Tensor& tensor) {
  if (!group_) return;
  std::vector<torch::Tensor> tensors{tensor};
  group_->run([&] { return group_->backend->allreduce(tensors); });
  tensors[0].div_(count_);
}

void Ranks::copy_from_first(const torch::Tensor& tensor) {
  if (!group_) return;
  std::vector<torch::Tensor> tensors{tensor};
  group_->run([&] { return group_->backend->broadcast(tensors); });
}

}  // namespace bsm
