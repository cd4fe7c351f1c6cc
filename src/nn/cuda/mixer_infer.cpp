#include "nn/cuda/mixer_infer.h"

#include <torch/torch.h>

#include "nn/cuda/launch_arguments.h"
#include "nn/cuda/mixer_fused.h"
#include "nn/cuda/mixer_infer_kernels.h"

namespace bsm {

using kernels::MixerShape;
using kernels::Strided;
using torch::Tensor;

namespace {

/// The input with rows aligned as the kernels want them; a copy where they are not.
Tensor aligned(const MixerShape& shape, const Tensor& zxbcdt) {
  if (kernels::infer_aligned(shape, strided(zxbcdt))) return zxbcdt;
  const int64_t E = zxbcdt.size(3);
  return torch::constant_pad_nd(zxbcdt, {0, (4 - E % 4) % 4}).narrow(3, 0, E);
}

/// Replaces `state` by buffers for that after `state_at` elements; fills that of the convolution.
void take_state(const MixerShape& shape, const Strided& zxbcdt, const Tensor& conv_before, MixerState& state,
                int64_t state_at, const torch::TensorOptions& options, cudaStream_t stream) {
  state.conv = torch::empty({shape.sequences(), shape.conv_width - 1, shape.conv_channels()}, options);
  state.ssm = torch::empty({shape.sequences(), shape.heads(), shape.head_dim, shape.state}, options);
  check_launch(kernels::launch_conv_state(shape, zxbcdt, floats(conv_before), static_cast<int>(state_at),
                                          state.conv.data_ptr<float>(), stream),
               "convolution state");
}

}  // namespace

Tensor mixer_core_infer(const Tensor& zxbcdt, const MixerWeights& w, const MixerSizes& sizes,
                        Direction direction, MixerState* state, int64_t state_at) {
  MixerShape shape = mixer_shape(zxbcdt, sizes, direction);
  shape.single_products = at::globalContext().allowTF32CuBLAS();  // as LibTorch's products around it
  const cudaStream_t stream = current_stream(zxbcdt);
  const auto options = zxbcdt.options();
  const Tensor input = aligned(shape, zxbcdt);
  const Strided in = strided(input);

  MixerState before;
  kernels::InferState carried;
  if (state != nullptr) {
    before = {vectorizable(state->conv), vectorizable(state->ssm)};
    carried.conv_in = floats(before.conv);
    carried.ssm_in = floats(before.ssm);
    if (state_at > 0) {
      take_state(shape, in, before.conv, *state, state_at, options, stream);
      carried.ssm_out = state->ssm.data_ptr<float>();
      carried.state_at = static_cast<int>(state_at);
    }
  }

  const int64_t chunks = shape.sequences() * kernels::InferChunks{shape.length, carried.taken_at()}.count();
  const Tensor common = torch::empty({chunks, kernels::infer_common_floats(shape)}, options);
  const Tensor decays = torch::empty({chunks, shape.heads(), 2 * kernels::kInferChunk}, options);
  const Tensor u = torch::empty({shape.outer, shape.length, shape.inner, shape.d_inner}, options);
  const kernels::InferBuffers buffers{common.data_ptr<float>(), decays.data_ptr<float>()};
  const kernels::InferWeights weights{floats(w.conv_weight), floats(w.conv_bias), floats(w.dt_bias),
                                      floats(w.A_log), floats(w.D)};
  check_launch(kernels::launch_infer_chunks(shape, in, weights, carried, buffers, stream), "chunk");
  check_launch(kernels::launch_infer_scan(shape, in, weights, buffers, carried, u.data_ptr<float>(), stream),
               "scan");
  const Tensor norm_weight = vectorizable(w.norm_weight);
  check_launch(kernels::launch_infer_norm(shape, floats(norm_weight), u.data_ptr<float>(), stream), "norm");
  return u;
}

}  // namespace bsm
