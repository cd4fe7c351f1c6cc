#include "nn/cpu/mixer_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <torch/torch.h>

#include <cmath>
#include <memory>
#include <new>

#include "nn/cpu/mixer_kernel.h"

namespace bsm {

using torch::Tensor;

namespace {

/// Work memory of one thread, kept from call to call.
class Scratch {
 public:
  float* at_least(int64_t floats) {
    if (floats > floats_) {
      memory_.reset();
      memory_.reset(static_cast<float*>(::operator new(floats * sizeof(float), kAlignment)));
      floats_ = floats;
    }
    return memory_.get();
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t floats_ = 0;
};

/// body(i) for all i < count on LibTorch's threads. at::parallel_for is a template that only runs in parallel
/// in code compiled with the OpenMP of LibTorch's own compiler; a TensorIterator's loop is compiled inside
/// LibTorch.
template <typename Body>
void parallel_over(int64_t count, int64_t grain, const Body& body) {
  Tensor index = at::arange(count, at::kLong);
  at::TensorIterator iterator = at::TensorIterator::nullary_op(index);
  iterator.for_each(
      [&](char** data, const int64_t* strides, int64_t columns, int64_t rows) {
        for (int64_t row = 0; row < rows; ++row)
          for (int64_t column = 0; column < columns; ++column)
            body(*reinterpret_cast<const int64_t*>(data[0] + row * strides[1] + column * strides[0]));
      },
      grain);
}

const float* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

void check_state(const char* name, const Tensor& state, at::IntArrayRef shape) {
  if (!state.defined()) return;
  TORCH_CHECK(state.sizes() == shape && state.scalar_type() == at::kFloat && state.device().is_cpu(),
              "mixer_core_cpu: the ", name, " state must be float32 on the CPU with sizes ", shape, ", got ",
              state.sizes());
}

}  // namespace

bool mixer_core_cpu_supports(const Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes&) {
  const auto plain_float = [](const Tensor& t) {
    return t.defined() && t.device().is_cpu() && t.scalar_type() == at::kFloat;
  };
  if (!plain_float(zxbcdt) || zxbcdt.dim() != 4 || zxbcdt.stride(3) != 1) return false;
  bool gradient = zxbcdt.requires_grad();
  for (const Tensor* w : {&weights.conv_weight, &weights.conv_bias, &weights.dt_bias, &weights.A_log,
                          &weights.D, &weights.norm_weight}) {
    if (!plain_float(*w) || !w->is_contiguous()) return false;
    gradient = gradient || w->requires_grad();
  }
  return !(gradient && at::GradMode::is_enabled());
}

Tensor mixer_core_cpu(const Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes,
                      Direction direction, MixerState* state, int64_t state_at) {
  TORCH_CHECK(zxbcdt.dim() == 4 && zxbcdt.size(3) == sizes.in_proj_width(), "mixer_core_cpu: input of sizes ",
              zxbcdt.sizes(), ", expected [outer, L, inner, ", sizes.in_proj_width(), "]");
  TORCH_CHECK(
      mixer_core_cpu_supports(zxbcdt, weights, sizes),
      "mixer_core_cpu: needs float32 CPU tensors, contiguous in the last dimension, without gradients");
  const int64_t outer = zxbcdt.size(0), length = zxbcdt.size(1), inner = zxbcdt.size(2), S = outer * inner;
  const int64_t channels = sizes.conv_channels(), kept = sizes.conv_width - 1;
  TORCH_CHECK(!state || (direction == Direction::kForward && state_at >= 0 && state_at <= length),
              "mixer_core_cpu: a state needs the forward direction and state_at in 0..", length, ", got ",
              state_at);

  const at::NoGradGuard no_grad;
  Tensor output = at::empty({outer, length, inner, sizes.d_inner}, zxbcdt.options());
  const Tensor taps = weights.conv_weight.t().contiguous();
  const Tensor A = weights.A_log.exp().neg_();

  MixerJob job;
  job.input = zxbcdt.data_ptr<float>();
  job.stride_outer = zxbcdt.stride(0), job.stride_step = zxbcdt.stride(1),
  job.stride_inner = zxbcdt.stride(2);
  job.output = output.data_ptr<float>();
  job.outer = outer, job.length = length, job.inner = inner;
  job.d_inner = sizes.d_inner, job.state = sizes.state, job.head_dim = sizes.head_dim,
  job.heads = sizes.heads();
  job.conv_width = sizes.conv_width;
  job.backward = direction == Direction::kBackward;
  job.conv_taps = taps.data_ptr<float>();
  job.conv_bias = weights.conv_bias.data_ptr<float>();
  job.dt_bias = weights.dt_bias.data_ptr<float>();
  job.A = A.data_ptr<float>();
  job.D = weights.D.data_ptr<float>();
  job.norm_weight = weights.norm_weight.data_ptr<float>();

  // The state after 0 elements is the one before them.
  const bool wants_state = state && state_at > 0;
  MixerState before, after;
  if (state) {
    check_state("convolution", state->conv, {S, kept, channels});
    check_state("scan", state->ssm, {S, job.heads, job.head_dim, job.state});
    if (state->conv.defined()) before.conv = state->conv.contiguous();
    if (state->ssm.defined()) before.ssm = state->ssm.contiguous();
  }
  job.conv_state_in = data_or_null(before.conv);
  job.ssm_state_in = data_or_null(before.ssm);
  if (wants_state) {
    after.conv = at::empty({S, kept, channels}, zxbcdt.options());
    after.ssm = at::empty({S, job.heads, job.head_dim, job.state}, zxbcdt.options());
    job.conv_state_out = after.conv.data_ptr<float>();
    job.ssm_state_out = after.ssm.data_ptr<float>();
    job.state_at = state_at;
  }

  const auto chunks =
      plan_chunks(length, job.d_inner, job.state, job.ssm_state_in != nullptr, wants_state, state_at);
  job.chunks = chunks.data();
  job.chunk_count = static_cast<int64_t>(chunks.size());
  for (const MixerChunk& chunk : chunks) job.longest_chunk = std::max(job.longest_chunk, chunk.length);

  const CpuKernels& kernels = cpu_kernels();
  const int64_t floats = kernels.scratch_floats(job);
  if (length > 0 && S > 0) {
    // A thread is worth waking for some 30 us of work.
    const int64_t grain = std::max<int64_t>(1, 64 * 192 / (length * sizes.d_inner));
    parallel_over(S, grain, [&](int64_t sequence) {
      thread_local Scratch scratch;
      kernels.run_sequence(job, sequence, scratch.at_least(floats));
    });
  }
  if (wants_state) *state = after;
  return output;
}

}  // namespace bsm
