#include "nn/mixer.h"

#include <torch/torch.h>

#include <atomic>

#include "nn/cuda/mixer_cuda.h"
#include "nn/stages.h"

namespace bsm {

using torch::Tensor;

namespace {

std::atomic<MixerBackend> backend_choice{MixerBackend::kAuto};

bool gradient_needed(const Tensor& zxbcdt, const MixerWeights& w) {
  if (!at::GradMode::is_enabled()) return false;
  for (const Tensor* tensor :
       {&zxbcdt, &w.conv_weight, &w.conv_bias, &w.dt_bias, &w.A_log, &w.D, &w.norm_weight})
    if (tensor->requires_grad()) return true;
  return false;
}

void check_weight(const char* name, const Tensor& tensor, at::IntArrayRef shape) {
  TORCH_CHECK(tensor.defined() && tensor.sizes() == shape, "mixer core: ", name, " has shape ",
              tensor.defined() ? tensor.sizes() : at::IntArrayRef(), ", expected ", shape);
}

void check_arguments(const Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes,
                     Direction direction, const MixerState* state, int64_t state_at) {
  TORCH_CHECK(sizes.d_inner > 0 && sizes.head_dim > 0 && sizes.state > 0 && sizes.conv_width > 0 &&
                  sizes.d_inner % sizes.head_dim == 0,
              "mixer core: sizes must be positive and head_dim divide d_inner");
  TORCH_CHECK(zxbcdt.dim() == 4 && zxbcdt.size(3) == sizes.in_proj_width() && zxbcdt.numel() > 0,
              "mixer core: input has shape ", zxbcdt.sizes(), ", expected [outer, L, inner, ",
              sizes.in_proj_width(), "], none of them 0");
  TORCH_CHECK(zxbcdt.stride(3) == 1, "mixer core: the last dimension of the input must be contiguous");
  check_weight("conv_weight", weights.conv_weight, {sizes.conv_channels(), sizes.conv_width});
  check_weight("conv_bias", weights.conv_bias, {sizes.conv_channels()});
  check_weight("dt_bias", weights.dt_bias, {sizes.heads()});
  check_weight("A_log", weights.A_log, {sizes.heads()});
  check_weight("D", weights.D, {sizes.heads()});
  check_weight("norm_weight", weights.norm_weight, {sizes.d_inner});
  if (state == nullptr) return;
  TORCH_CHECK(direction == Direction::kForward, "mixer core: only a forward scan keeps a state");
  TORCH_CHECK(state_at >= 0 && state_at <= zxbcdt.size(1), "mixer core: state_at is ", state_at,
              ", expected 0 to ", zxbcdt.size(1));
  const int64_t S = zxbcdt.size(0) * zxbcdt.size(2);
  if (state->conv.defined())
    check_weight("the state of the convolution", state->conv,
                 {S, sizes.conv_width - 1, sizes.conv_channels()});
  if (state->ssm.defined())
    check_weight("the state of the scan", state->ssm, {S, sizes.heads(), sizes.head_dim, sizes.state});
}

}  // namespace

void set_mixer_backend(MixerBackend backend) { backend_choice = backend; }
MixerBackend mixer_backend() { return backend_choice; }

Tensor mixer_core(const Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes,
                  Direction direction, MixerState* state, int64_t state_at) {
  check_arguments(zxbcdt, weights, sizes, direction, state, state_at);
  if (backend_choice == MixerBackend::kAuto) {
    const bool gradient = gradient_needed(zxbcdt, weights);
    // The CUDA kernels differentiate whole sequences only.
    if (!(gradient && state != nullptr) && mixer_core_cuda_supports(zxbcdt, weights, sizes)) {
      const Tensor y = mixer_core_cuda(zxbcdt, weights, sizes, direction, state, state_at);
      stage_done(Stage::kMixerCore);
      return y;
    }
  }
  return mixer_core_plain(zxbcdt, weights, sizes, direction, state, state_at);
}

}  // namespace bsm
