#include "nn/cpu/pair_cpu.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

#include "nn/cpu/packed_tensor.h"
#include "nn/cpu/scratch.h"
#include "nn/cpu/team.h"
#include "nn/stages.h"

namespace bsm {

using torch::Tensor;

struct PairWeightsCpu {
  struct Mixer {
    Tensor in, out, taps, conv_bias, dt_bias, A, D;
  };
  MixerSizes sizes;
  PairLayout layout;
  CpuKernels kernels;
  std::vector<Mixer> mixers;
  Tensor bias;
};

namespace {

// A slice of a few short sequences fills the rows of a product's tiles better than a single one, and its
// projections still fit into the second level cache.
constexpr int64_t kSliceRows = 128;

PairLayout make_layout(const MixerSizes& sizes, int64_t dim) {
  PairLayout l;
  l.dim = dim, l.heads = sizes.heads(), l.head_dim = sizes.head_dim, l.state = sizes.state,
  l.conv_width = sizes.conv_width;
  l.padded_dim = padded(dim), l.padded_head = padded(l.head_dim), l.padded_state = padded(l.state);
  l.inner = l.heads * l.padded_head;
  l.channels = l.inner + 2 * l.padded_state;
  l.dt_at = l.inner + l.channels;
  l.residual_at = l.dt_at + padded(l.heads);
  l.row = l.residual_at + l.padded_dim;
  return l;
}

/// [rows, d_inner] -> [rows, inner]
Tensor pad_heads(const Tensor& t, const PairLayout& l) {
  return pad(t.reshape({-1, l.heads, l.head_dim}), l.padded_head).reshape({-1, l.inner});
}

/// [rows, d_inner + 2 N] -> [rows, channels]
Tensor pad_channels(const Tensor& t, const PairLayout& l) {
  const auto parts = t.split_with_sizes({l.heads * l.head_dim, l.state, l.state}, 1);
  return torch::cat({pad_heads(parts[0], l), pad(parts[1], l.padded_state), pad(parts[2], l.padded_state)},
                    1);
}

/// @param in [D, E]  @param out [d_inner, D]  @param residual [D, D] or undefined
PairWeightsCpu::Mixer make_mixer(const Tensor& in, const Tensor& out, const Tensor& residual,
                                 const MixerWeights& core, const PairLayout& l, const CpuKernels& kernels) {
  const int64_t d_inner = l.heads * l.head_dim;
  const auto parts = in.split_with_sizes({d_inner, d_inner + 2 * l.state, l.heads}, 1);  // z | xBC | dt
  std::vector<Tensor> columns = {pad_heads(parts[0], l), pad_channels(parts[1], l),
                                 pad(parts[2], l.residual_at - l.dt_at)};
  if (residual.defined()) columns.push_back(pad(residual, l.padded_dim));
  const Tensor rows = torch::constant_pad_nd(torch::cat(columns, 1), {0, 0, 0, l.padded_dim - l.dim});
  const Tensor ends = (core.norm_weight.unsqueeze(1) * out).view({l.heads, l.head_dim, l.dim});
  return {pack(rows, kernels),
          pack(torch::constant_pad_nd(ends, {0, l.padded_dim - l.dim, 0, l.padded_head - l.head_dim})
                   .reshape({l.inner, l.padded_dim}),
               kernels),
          pad_channels(core.conv_weight.t(), l).contiguous(),
          pad_channels(core.conv_bias.unsqueeze(0), l).contiguous(),
          core.dt_bias.detach().clone(),
          core.A_log.exp().neg(),
          core.D.detach().clone()};
}

PairJob make_job(const Tensor& x, const PairWeightsCpu& weights) {
  PairJob job;
  job.layout = weights.layout;
  job.directions = static_cast<int>(weights.mixers.size());
  for (int d = 0; d < job.directions; ++d) {
    const PairWeightsCpu::Mixer& mixer = weights.mixers[d];
    job.direction[d] = {mixer.in.data_ptr<float>(),      mixer.out.data_ptr<float>(),
                        mixer.taps.data_ptr<float>(),    mixer.conv_bias.data_ptr<float>(),
                        mixer.dt_bias.data_ptr<float>(), mixer.A.data_ptr<float>(),
                        mixer.D.data_ptr<float>()};
  }
  job.bias = weights.bias.data_ptr<float>();
  job.stream = x.data_ptr<float>();
  job.stride_outer = x.stride(0), job.stride_step = x.stride(1), job.stride_inner = x.stride(2);
  job.length = x.size(1), job.inner = x.size(2);
  return job;
}

const float* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

/// The memory of `before` when it is nobody else's, else new memory.
Tensor state_memory(const Tensor& before, at::IntArrayRef shape) {
  if (before.defined() && before.is_contiguous() && before.use_count() == 1) return before;
  return torch::empty(shape, torch::kFloat32);
}

void check_state(const char* name, const Tensor& state, at::IntArrayRef shape) {
  TORCH_CHECK(!state.defined() ||
                  (state.sizes() == shape && state.scalar_type() == torch::kFloat32 && state.is_cpu()),
              "pair_block_cpu: the state of the ", name, " must be float32 on the CPU with sizes ", shape,
              ", got ", state.sizes());
}

/// All chunks of one slice of sequences, forwards, then backwards.
void run_slice(const PairJob& job, const CpuKernels& kernels, PairStep step,
               const std::vector<ScanChunk>* chunks) {
  float* scratch = Scratch::of_this_thread().at_least(kernels.pair_scratch_floats(job, step.sequences));
  for (step.direction = 0; step.direction < job.directions; ++step.direction) {
    for (const ScanChunk& chunk : chunks[step.direction]) {
      step.chunk = chunk;
      kernels.pair_project(job, step, scratch);
      stage_done(Stage::kProjections);
      kernels.pair_scan(job, step, scratch);
      stage_done(Stage::kMixerCore);
      kernels.pair_merge(job, step, scratch);
      stage_done(Stage::kMerge);
    }
  }
}

}  // namespace

std::shared_ptr<const PairWeightsCpu> prepare_pair_cpu(const PairWeights& w, const MixerSizes& sizes,
                                                       torch::Dtype dtype) {
  if (!w.in.is_cpu() || dtype != torch::kFloat32) return nullptr;
  const torch::NoGradGuard no_grad;
  const int64_t E = sizes.in_proj_width();
  auto prepared = std::make_shared<PairWeightsCpu>();
  prepared->sizes = sizes;
  prepared->layout = make_layout(sizes, w.in.size(0));
  prepared->kernels = cpu_kernels();
  prepared->bias = pad(w.bias, prepared->layout.padded_dim).contiguous();
  const auto add = [&](int64_t column, const Tensor& out, const Tensor& residual, const MixerWeights& core) {
    prepared->mixers.push_back(
        make_mixer(w.in.narrow(1, column, E), out, residual, core, prepared->layout, prepared->kernels));
  };
  add(0, w.out_f, w.residual, w.core_f);
  if (w.both_directions()) add(E, w.out_b, Tensor(), w.core_b);
  return prepared;
}

void pair_block_cpu(const Tensor& x, const PairWeightsCpu& weights, MixerState* state, int64_t state_at) {
  const MixerSizes& sizes = weights.sizes;
  TORCH_CHECK(x.dim() == 4 && x.is_cpu() && x.scalar_type() == torch::kFloat32 && x.stride(3) == 1 &&
                  x.size(3) == weights.layout.dim,
              "pair_block_cpu: expected float32 [outer, L, inner, ", weights.layout.dim,
              "] on the CPU, contiguous in the last dimension, got ", x.sizes());
  const int64_t length = x.size(1), S = x.size(0) * x.size(2);
  TORCH_CHECK(state == nullptr || (state_at >= 0 && state_at <= length), "pair_block_cpu: state_at is ",
              state_at, ", expected 0 to ", length);
  if (S == 0 || length == 0) return;

  PairJob job = make_job(x, weights);
  MixerState after;
  const bool wants_state = state != nullptr && state_at > 0;  // the state after 0 elements is the one before
  if (state != nullptr) {
    const std::vector<int64_t> conv{S, sizes.conv_width - 1, sizes.conv_channels()};
    const std::vector<int64_t> ssm{S, sizes.heads(), sizes.head_dim, sizes.state};
    check_state("convolution", state->conv, conv);
    check_state("scan", state->ssm, ssm);
    if (state->conv.defined()) state->conv = state->conv.contiguous();
    if (state->ssm.defined()) state->ssm = state->ssm.contiguous();
    job.conv_state_in = data_or_null(state->conv);
    job.ssm_state_in = data_or_null(state->ssm);
    if (wants_state) {
      after = {state_memory(state->conv, conv), state_memory(state->ssm, ssm)};
      job.conv_state_out = after.conv.data_ptr<float>();
      job.ssm_state_out = after.ssm.data_ptr<float>();
      job.state_at = state_at;
    }
  }

  const auto plan = [&](bool reads, bool writes) {
    return plan_chunks(length, sizes.d_inner, sizes.state, reads, writes, state_at);
  };
  const std::vector<ScanChunk> chunks[] = {plan(job.ssm_state_in != nullptr, wants_state),
                                           plan(false, false)};
  for (int d = 0; d < job.directions; ++d)
    for (const ScanChunk& chunk : chunks[d]) job.longest_chunk = std::max(job.longest_chunk, chunk.length);

  const int64_t threads = at::get_num_threads();
  const int64_t at_once =
      std::clamp<int64_t>(kSliceRows / job.longest_chunk, 1, std::max<int64_t>(S / threads, 1));
  for_each_on_team((S + at_once - 1) / at_once, [&](int64_t slice) {
    PairStep step;
    step.first_sequence = slice * at_once;
    step.sequences = std::min(at_once, S - step.first_sequence);
    run_slice(job, weights.kernels, step, chunks);
  });
  if (wants_state) *state = after;
}

}  // namespace bsm
