// Time of a block of two fused mixers on a GPU: whole, by slice size, and each kernel.
#pragma once

#include "nn/cuda/mixer_fused.h"
#include "pair_cases.h"

namespace bsm::testing {

inline std::vector<int64_t> slice_sizes() {
  return {int64_t{8} << 20,  int64_t{16} << 20, int64_t{24} << 20,
          int64_t{32} << 20, int64_t{48} << 20, int64_t{1} << 40};
}

/// @param time_ms  milliseconds of one call of a function
template <typename Timer>
void time_pair(const char* name, const PairCase& c, torch::Device device, Timer time_ms) {
  const torch::NoGradGuard no_grad;
  const PairWeightsCuda w = pair_weights_cuda(make_pair_weights(c, device), c.sizes, torch::kBFloat16);
  const Tensor x = torch::randn({c.outer, c.length, c.inner, c.dim}, device);
  std::printf("%s block, bfloat16\n", name);
  for (const int64_t bytes : slice_sizes())
    std::printf("  slices of %7lld MiB  %8.3f ms\n", static_cast<long long>(bytes >> 20), time_ms([&] {
                  pair_block_fused({x, {}}, w, nullptr, 0, bytes);
                }));

  const kernels::PairShape s = pair_shape(x, w);
  const int64_t n = s.tokens();
  const auto make = [&](at::IntArrayRef shape, torch::Dtype dtype) {
    return torch::randn(shape, device).to(dtype);
  };
  const auto half = torch::kBFloat16, real = torch::kFloat32;
  const Tensor xn = make({n, s.dim}, half), projected = make({n, s.projected_width()}, half),
               y = torch::empty_like(x);
  const int64_t cut = s.directions * s.sequences() * kernels::pair_most_chunks(s);
  const Tensor bc = make({cut, kernels::pair_bc_elements(s)}, half),
               scores = make({cut, kernels::pair_score_elements()}, half),
               decays = torch::empty({cut, s.heads(), kernels::pair_decays_bytes()},
                                     torch::TensorOptions(device).dtype(torch::kUInt8));
  const kernels::ChunkBuffers chunks{bc.data_ptr(), scores.data_ptr(), decays.data_ptr()};
  const Tensor u = make({s.directions, n, s.d_inner}, half),
               squares = make({s.directions, n, s.heads()}, real);
  Tensor products = make({1 + s.directions, n, s.dim}, half), out = torch::empty_like(projected);
  const Tensor rms = torch::ones({n}, torch::TensorOptions(device).dtype(real));
  const kernels::ScanWeights weights{w.taps.data_ptr<float>(), w.conv_bias.data_ptr<float>(),
                                     w.dt_bias.data_ptr<float>(), w.A_log.data_ptr<float>(),
                                     w.D.data_ptr<float>()};
  const kernels::StreamView from{x.data_ptr<float>(), x.stride(0), x.stride(1), x.stride(2)};
  const kernels::StreamView to{y.data_ptr<float>(), x.stride(0), x.stride(1), x.stride(2)};
  const cudaStream_t stream = current_stream(x);
  const auto show = [&](const char* kernel, auto body) {
    std::printf("    %-16s %8.3f ms\n", kernel, time_ms(body));
  };
  const kernels::NormedRows normed{xn.data_ptr(), rms.data_ptr<float>()};
  show("norm", [&] { return kernels::launch_pair_norm(s, from, normed, stream); });
  show("projection", [&] {
    if (!w.own_products)
      torch::mm_out(out, xn, w.in.t());
    else
      kernels::launch_pair_project(s, xn.data_ptr(), w.in.data_ptr(), out.data_ptr(), stream);
  });
  show("chunks",
       [&] { return kernels::launch_pair_chunks(s, projected.data_ptr(), weights, {}, chunks, stream); });
  show("scan", [&] {
    return kernels::launch_pair_scan(s, projected.data_ptr(), weights, chunks, {}, u.data_ptr(),
                                     squares.data_ptr<float>(), stream);
  });
  if (s.length <= kernels::kPairShortLength)
    show("short scan", [&] {
      return kernels::launch_pair_scan_short(s, projected.data_ptr(), weights, u.data_ptr(),
                                             squares.data_ptr<float>(), stream);
    });
  const kernels::MergeInputs merge{xn.data_ptr(),    rms.data_ptr<float>(),
                                   u.data_ptr(),     squares.data_ptr<float>(),
                                   w.out.data_ptr(), w.bias.data_ptr<float>()};
  if (w.own_products) {
    show("products, merge",
         [&] { return kernels::launch_pair_merge_products(s, merge, from, to, normed, stream); });
    return;
  }
  show("products", [&] {
    Tensor of_directions = products.narrow(0, 1, s.directions);
    torch::bmm_out(of_directions, u,
                   w.out.narrow(0, s.dim, s.directions * s.d_inner).view({s.directions, s.d_inner, s.dim}));
  });
  show("merge",
       [&] { return kernels::launch_pair_merge(s, products.data_ptr(), merge, from, to, normed, stream); });
}

}  // namespace bsm::testing
