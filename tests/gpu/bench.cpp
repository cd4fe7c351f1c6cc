// Time of the mixer core on a GPU, plain and fused, forward and with gradients, and of each kernel; then that
// of whole blocks at inference.
//
//   gpu_bench [ITERATIONS [blocks]]      default 20; blocks: no mixer cores
#include <c10/cuda/CUDAStream.h>

#include <cstdio>
#include <cstdlib>

#include "bench_pair.h"
#include "mixer_cases.h"
#include "nn/cuda/launch_arguments.h"
#include "nn/cuda/mixer_cuda.h"
#include "nn/cuda/mixer_fused.h"
#include "nn/cuda/mixer_infer_kernels.h"

namespace {

using namespace bsm;
using bsm::testing::MixerCase;
using torch::Tensor;

const torch::Device kGpu(torch::kCUDA, 0);
int iterations = 20;

/// Milliseconds of one call.
template <typename Body>
double time_ms(Body body) {
  for (int i = 0; i < 3; ++i) body();
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  cudaEventRecord(begin, stream);
  for (int i = 0; i < iterations; ++i) body();
  cudaEventRecord(end, stream);
  cudaEventSynchronize(end);
  float elapsed_ms = 0;
  cudaEventElapsedTime(&elapsed_ms, begin, end);
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return elapsed_ms / iterations;
}

template <typename Core>
void time_core(const char* name, const MixerCase& c, torch::Dtype dtype, Core core) {
  const Tensor in = testing::make_input(c, kGpu, dtype).requires_grad_();
  MixerWeights w = testing::make_weights(c.sizes, kGpu);
  for (Tensor* tensor : testing::tensors_of(w)) tensor->requires_grad_();
  const auto tensors = testing::tensors_of(w);
  std::vector<Tensor> inputs = {in};
  for (const Tensor* tensor : tensors) inputs.push_back(*tensor);
  const Tensor d_out = torch::randn({c.outer, c.length, c.inner, c.sizes.d_inner}, kGpu).to(dtype);
  const double forward_ms = time_ms([&] {
    const torch::NoGradGuard no_grad;
    core(in, w, c.sizes, c.direction, nullptr, 0);
  });
  const double both_ms = time_ms([&] {
    const Tensor out = core(in, w, c.sizes, c.direction, nullptr, 0);
    torch::autograd::grad({out}, inputs, {d_out});
  });
  std::printf("  %-8s forward %8.3f ms, with gradients %8.3f ms\n", name, forward_ms, both_ms);
}

/// Each kernel on its own, on buffers of the right size.
void time_kernels(const MixerCase& c, torch::Dtype dtype) {
  const Tensor in = testing::make_input(c, kGpu, dtype);
  const MixerWeights w = testing::make_weights(c.sizes, kGpu);
  const kernels::MixerShape s = mixer_shape(in, c.sizes, c.direction);
  const kernels::Strided zxbcdt{in.data_ptr(), in.stride(0), in.stride(1), in.stride(2)};
  const cudaStream_t stream = current_stream(in);
  const auto buffer = [&](torch::Dtype type, at::IntArrayRef shape) {
    return torch::randn(shape, torch::TensorOptions(kGpu).dtype(torch::kFloat32)).to(type);
  };
  const int64_t S = s.sequences();
  const Tensor xbc = buffer(dtype, {S, s.length, s.conv_channels()}), d_xbc = torch::empty_like(xbc);
  const Tensor dt = buffer(torch::kFloat32, {S, s.heads(), s.length});
  const Tensor y = buffer(dtype, {S, s.length, s.d_inner}), d_y = buffer(dtype, {S, s.length, s.d_inner});
  const Tensor out = buffer(dtype, {S, s.length, s.d_inner});
  const Tensor d_in = torch::empty(in.sizes(), in.options());
  const int64_t slots = std::max(1, s.chunks() - 1);
  const Tensor states = torch::empty({S, slots, s.heads(), s.head_dim, s.state}, in.options());
  const Tensor adjoint = torch::empty_like(states);
  const Tensor sums = torch::empty({S * s.chunks() * 3 * s.heads() + (kernels::conv_backward_blocks(s) * 5 +
                                                                      kernels::gate_backward_blocks(s)) *
                                                                         int64_t{s.conv_channels()}},
                                   torch::TensorOptions(kGpu).dtype(torch::kFloat32));
  const auto f = [](const Tensor& tensor) { return tensor.data_ptr<float>(); };
  const auto show = [&](const char* name, auto launch) {
    if (launch() != cudaSuccess) {
      std::fprintf(stderr, "%s: %s\n", name, cudaGetErrorString(cudaGetLastError()));
      std::exit(1);
    }
    std::printf("    %-16s %8.3f ms\n", name, time_ms(launch));
  };
  const bool many = s.chunks() > 1;
  void* h = many ? states.data_ptr() : nullptr;
  void* G = many ? adjoint.data_ptr() : nullptr;
  show("conv", [&] {
    return kernels::launch_conv_forward(s, zxbcdt, f(w.conv_weight), f(w.conv_bias), f(w.dt_bias), nullptr,
                                        xbc.data_ptr(), f(dt), stream);
  });
  if (many) {
    show("states", [&] {
      return kernels::launch_scan_states(s, xbc.data_ptr(), nullptr, f(dt), f(w.A_log), nullptr, s.length, h,
                                         nullptr, stream);
    });
  }
  show("scan", [&] {
    return kernels::launch_scan_forward(s, xbc.data_ptr(), f(dt), f(w.A_log), f(w.D), h, false, y.data_ptr(),
                                        stream);
  });
  show("gate", [&] {
    return kernels::launch_gate_forward(s, zxbcdt, y.data_ptr(), f(w.norm_weight), out.data_ptr(), stream);
  });
  show("gate gradient", [&] {
    return kernels::launch_gate_backward(s, zxbcdt, y.data_ptr(), f(w.norm_weight), out.data_ptr(),
                                         d_y.data_ptr(), d_in.data_ptr(), f(sums), stream);
  });
  if (many) {
    show("adjoint states", [&] {
      return kernels::launch_scan_states(s, xbc.data_ptr(), d_y.data_ptr(), f(dt), f(w.A_log), nullptr,
                                         s.length, G, nullptr, stream);
    });
  }
  show("scan gradient", [&] {
    return kernels::launch_scan_backward(s, xbc.data_ptr(), f(dt), f(w.A_log), f(w.D), d_y.data_ptr(), h, G,
                                         d_xbc.data_ptr(), d_in.data_ptr(), f(sums), stream);
  });
  show("conv gradient", [&] {
    return kernels::launch_conv_backward(s, zxbcdt, f(w.conv_weight), f(w.conv_bias), d_xbc.data_ptr(),
                                         d_in.data_ptr(), f(sums), stream);
  });
}

/// Those of the float32 core at inference, for rows that are aligned (others are copied first).
void time_infer_kernels(const MixerCase& c) {
  const Tensor in = testing::make_input(c, kGpu, torch::kFloat32);
  const MixerWeights w = testing::make_weights(c.sizes, kGpu);
  kernels::MixerShape s = mixer_shape(in, c.sizes, c.direction);
  s.single_products = true;
  const kernels::Strided zxbcdt = strided(in);
  const cudaStream_t stream = current_stream(in);
  const int64_t chunks = s.sequences() * kernels::InferChunks{s.length, 0}.count();
  const Tensor common = torch::empty({chunks, kernels::infer_common_floats(s)}, in.options());
  const Tensor decays = torch::empty({chunks, s.heads(), 2 * kernels::kInferChunk}, in.options());
  const Tensor u = torch::empty({s.tokens(), s.d_inner}, in.options());
  const kernels::InferBuffers buffers{common.data_ptr<float>(), decays.data_ptr<float>()};
  const kernels::InferWeights weights{floats(w.conv_weight), floats(w.conv_bias), floats(w.dt_bias),
                                      floats(w.A_log), floats(w.D)};
  const auto show = [&](const char* kernel, auto launch) {
    check_launch(launch(), kernel);
    std::printf("    %-16s %8.3f ms\n", kernel, time_ms(launch));
  };
  show("chunks", [&] { return kernels::launch_infer_chunks(s, zxbcdt, weights, {}, buffers, stream); });
  show("scan", [&] {
    return kernels::launch_infer_scan(s, zxbcdt, weights, buffers, {}, u.data_ptr<float>(), stream);
  });
  show("norm",
       [&] { return kernels::launch_infer_norm(s, floats(w.norm_weight), u.data_ptr<float>(), stream); });
}

void run(const char* name, const MixerCase& c) {
  for (const auto dtype : {torch::kBFloat16, torch::kFloat32}) {
    std::printf("%s %s %s\n", name, torch::toString(dtype), testing::describe(c).c_str());
    time_core("plain", c, dtype, mixer_core_plain);
    time_core("fused", c, dtype, mixer_core_cuda);
    if (dtype == torch::kBFloat16) time_kernels(c, dtype);
    if (dtype == torch::kFloat32 && c.sizes.in_proj_width() % 4 == 0) time_infer_kernels(c);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) iterations = std::atoi(argv[1]);
  if (iterations < 1 || !torch::cuda::is_available()) {
    std::fprintf(stderr, "usage: gpu_bench [ITERATIONS [blocks]], on a machine with a CUDA GPU\n");
    return 2;
  }
  // One half of a product that feeds both directions, as in the network.
  const MixerSizes small{192, 64, 64, 4}, full{1024, 128, 64, 4};
  const bool cores = argc < 3 || std::string(argv[2]) != "blocks";
  if (cores) run("small, time axis", {16, 300, 40, small, Direction::kForward, 0, small.in_proj_width()});
  if (cores) run("full, time axis", {1, 800, 62, full, Direction::kForward, 0, full.in_proj_width()});
  if (cores) run("full, band axis", {800, 62, 1, full, Direction::kBackward, full.in_proj_width(), 0});
  const auto timer = [](auto body) { return time_ms(body); };
  testing::time_pair("full, time axis", {1, 800, 62, 256, full}, kGpu, timer);
  testing::time_pair("full, band axis", {800, 62, 1, 256, full}, kGpu, timer);
  testing::time_pair("small, time axis", {1, 400, 40, 96, small}, kGpu, timer);
  testing::time_pair("small, band axis", {400, 40, 1, 96, small}, kGpu, timer);
  return 0;
}
