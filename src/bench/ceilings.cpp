#include "bench/ceilings.h"

#include <torch/torch.h>

#include <chrono>
#include <limits>

namespace bsm {
namespace {

/// Shortest of several runs, in seconds: at least two, until 0.3 s have passed.
template <typename Work>
double best_s(const BenchDevice& device, Work work) {
  constexpr double kLeast_s = 0.3;
  work();
  double best = std::numeric_limits<double>::infinity(), total = 0;
  for (int runs = 0; runs < 2 || total < kLeast_s; ++runs) {
    device.synchronize();
    const auto start = std::chrono::steady_clock::now();
    work();
    device.synchronize();
    const double time_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::min(best, time_s);
    total += time_s;
  }
  return best;
}

}  // namespace

Ceilings measure_ceilings(const BenchDevice& device, c10::ScalarType dtype) {
  const torch::NoGradGuard no_grad;
  const auto options = torch::TensorOptions(device.device()).dtype(dtype);
  Ceilings ceilings;
  for (const int size : device.on_gpu() ? std::vector<int>{4096, 8192} : std::vector<int>{1024, 1536}) {
    const torch::Tensor a = torch::randn({size, size}, options), b = torch::randn({size, size}, options);
    torch::Tensor product = torch::empty({size, size}, options);
    const double time_s = best_s(device, [&] { torch::mm_out(product, a, b); });
    const double rate = 2.0 * size * size * size / time_s;
    if (rate > ceilings.product_flop_per_s) {
      ceilings.product_flop_per_s = rate;
      ceilings.product_size = size;
    }
  }
  const int64_t bytes = int64_t{1} << (device.on_gpu() ? 30 : 27);
  const torch::Tensor from = torch::ones({bytes / 4}, options.dtype(torch::kFloat32));
  torch::Tensor to = torch::zeros_like(from);
  ceilings.copy_bytes_per_s = 2 * static_cast<double>(bytes) / best_s(device, [&] { to.copy_(from); });
  return ceilings;
}

}  // namespace bsm
