#include "nn/cuda/mixer_fused.h"

#include <c10/core/DeviceGuard.h>
#include <torch/torch.h>

#include <cstdint>

#include "nn/cuda/launch_arguments.h"
#include "nn/cuda/mixer_infer.h"

namespace bsm {

using kernels::MixerShape;
using torch::Tensor;

namespace {

/// What the convolution leaves for the scan.
struct Convolved {
  Tensor xbc;  ///< [S, L, conv_channels]
  Tensor dt;   ///< [S, H, L]
};

Convolved run_conv(const MixerShape& shape, const Tensor& zxbcdt, const MixerWeights& w,
                   const Tensor& conv_state, cudaStream_t stream) {
  Convolved out{torch::empty({shape.sequences(), shape.length, shape.conv_channels()}, zxbcdt.options()),
                torch::empty({shape.sequences(), shape.heads(), shape.length},
                             zxbcdt.options().dtype(torch::kFloat32))};
  check_launch(kernels::launch_conv_forward(shape, strided(zxbcdt), floats(w.conv_weight),
                                            floats(w.conv_bias), floats(w.dt_bias), floats(conv_state),
                                            out.xbc.data_ptr(), out.dt.data_ptr<float>(), stream),
               "convolution");
  return out;
}

/// The states at chunk borders, [S, slots, H, P, N]; undefined when there are none.
Tensor run_states(const MixerShape& shape, const Convolved& in, const Tensor& d_y, const MixerWeights& w,
                  const Tensor& initial, cudaStream_t stream) {
  const int64_t slots = shape.chunks() - (initial.defined() ? 0 : 1);
  if (slots == 0) return {};
  const Tensor states =
      torch::empty({shape.sequences(), slots, shape.heads(), shape.head_dim, shape.state}, in.xbc.options());
  check_launch(kernels::launch_scan_states(shape, in.xbc.data_ptr(), data_or_null(d_y),
                                           in.dt.data_ptr<float>(), floats(w.A_log), floats(initial),
                                           shape.length, states.data_ptr(), nullptr, stream),
               "state");
  return states;
}

Tensor run_scan(const MixerShape& shape, const Convolved& in, const MixerWeights& w, const Tensor& initial,
                cudaStream_t stream) {
  const Tensor states = run_states(shape, in, {}, w, initial, stream);
  const Tensor y = torch::empty({shape.sequences(), shape.length, shape.d_inner}, in.xbc.options());
  check_launch(kernels::launch_scan_forward(shape, in.xbc.data_ptr(), in.dt.data_ptr<float>(),
                                            floats(w.A_log), floats(w.D), data_or_null(states),
                                            initial.defined(), y.data_ptr(), stream),
               "scan");
  return y;
}

Tensor run_gate(const MixerShape& shape, const Tensor& zxbcdt, const Tensor& y, const MixerWeights& w,
                cudaStream_t stream) {
  const Tensor out = torch::empty({shape.outer, shape.length, shape.inner, shape.d_inner}, zxbcdt.options());
  check_launch(kernels::launch_gate_forward(shape, strided(zxbcdt), y.data_ptr(), floats(w.norm_weight),
                                            out.data_ptr(), stream),
               "gate");
  return out;
}

/// Replaces `state` by that after `state_at` elements.
void advance_state(const MixerShape& shape, const Tensor& zxbcdt, const Convolved& in, const MixerWeights& w,
                   MixerState& state, int state_at, cudaStream_t stream) {
  const auto options = zxbcdt.options().dtype(torch::kFloat32);
  const Tensor conv = torch::empty({shape.sequences(), shape.conv_width - 1, shape.conv_channels()}, options);
  const Tensor ssm = torch::empty({shape.sequences(), shape.heads(), shape.head_dim, shape.state}, options);
  check_launch(kernels::launch_conv_state(shape, strided(zxbcdt), floats(state.conv), state_at,
                                          conv.data_ptr<float>(), stream),
               "convolution state");
  check_launch(
      kernels::launch_scan_states(shape, in.xbc.data_ptr(), nullptr, in.dt.data_ptr<float>(), floats(w.A_log),
                                  floats(state.ssm), state_at, nullptr, ssm.data_ptr<float>(), stream),
      "state");
  state.conv = conv;
  state.ssm = ssm;
}

/// Gradients of zxbcdt and of the weights.
struct Gradients {
  Tensor zxbcdt;
  MixerWeights weights;
};

Gradients run_backward(const MixerShape& shape, const Tensor& zxbcdt, const Tensor& y, const MixerWeights& w,
                       const Tensor& d_out, cudaStream_t stream) {
  const auto options = zxbcdt.options();
  const auto float_options = options.dtype(torch::kFloat32);
  const int64_t S = shape.sequences(), H = shape.heads(), channels = shape.conv_channels();
  Gradients d;
  d.zxbcdt = torch::empty({shape.outer, shape.length, shape.inner, shape.in_proj_width()}, options);

  const Tensor d_y = torch::empty({S, shape.length, shape.d_inner}, options);
  const Tensor norm_sums = torch::empty({kernels::gate_backward_blocks(shape), shape.d_inner}, float_options);
  check_launch(kernels::launch_gate_backward(shape, strided(zxbcdt), y.data_ptr(), floats(w.norm_weight),
                                             d_out.data_ptr(), d_y.data_ptr(), d.zxbcdt.data_ptr(),
                                             norm_sums.data_ptr<float>(), stream),
               "gate gradient");
  d.weights.norm_weight = norm_sums.sum(0);

  const Tensor d_xbc = torch::empty({S, shape.length, channels}, options);
  {
    const Convolved in = run_conv(shape, zxbcdt, w, {}, stream);
    const Tensor states = run_states(shape, in, {}, w, {}, stream);
    const Tensor adjoint = run_states(shape, in, d_y, w, {}, stream);
    const Tensor head_sums = torch::empty({S * shape.chunks(), 3, H}, float_options);
    check_launch(kernels::launch_scan_backward(shape, in.xbc.data_ptr(), in.dt.data_ptr<float>(),
                                               floats(w.A_log), floats(w.D), d_y.data_ptr(),
                                               data_or_null(states), data_or_null(adjoint), d_xbc.data_ptr(),
                                               d.zxbcdt.data_ptr(), head_sums.data_ptr<float>(), stream),
                 "scan gradient");
    const Tensor sums = head_sums.sum(0);
    d.weights.A_log = sums[0];
    d.weights.dt_bias = sums[1];
    d.weights.D = sums[2];
  }

  const Tensor conv_sums = torch::empty(
      {kernels::conv_backward_blocks(shape), kernels::kMaxConvWidth + 1, channels}, float_options);
  check_launch(kernels::launch_conv_backward(shape, strided(zxbcdt), floats(w.conv_weight),
                                             floats(w.conv_bias), d_xbc.data_ptr(), d.zxbcdt.data_ptr(),
                                             conv_sums.data_ptr<float>(), stream),
               "convolution gradient");
  const Tensor sums = conv_sums.sum(0);  // [taps, channels], then the bias
  d.weights.conv_weight =
      sums.slice(0, kernels::kMaxConvWidth - shape.conv_width, kernels::kMaxConvWidth).t();
  d.weights.conv_bias = sums[kernels::kMaxConvWidth];
  return d;
}

struct FusedMixer : torch::autograd::Function<FusedMixer> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& zxbcdt,
                        const Tensor& conv_weight, const Tensor& conv_bias, const Tensor& dt_bias,
                        const Tensor& A_log, const Tensor& D, const Tensor& norm_weight,
                        const MixerSizes& sizes, Direction direction) {
    const MixerShape shape = mixer_shape(zxbcdt, sizes, direction);
    const MixerWeights w{conv_weight, conv_bias, dt_bias, A_log, D, norm_weight};
    const cudaStream_t stream = current_stream(zxbcdt);
    const Tensor y = run_scan(shape, run_conv(shape, zxbcdt, w, {}, stream), w, {}, stream);
    context->save_for_backward({zxbcdt, y, conv_weight, conv_bias, dt_bias, A_log, D, norm_weight});
    for (const auto& [name, value] :
         {std::pair("d_inner", sizes.d_inner), std::pair("state", sizes.state),
          std::pair("head_dim", sizes.head_dim), std::pair("width", sizes.conv_width),
          std::pair("direction", static_cast<int64_t>(direction))})
      context->saved_data[name] = value;
    return run_gate(shape, zxbcdt, y, w, stream);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& d_out) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "The fused mixer core can be differentiated once only; for second derivatives choose "
                "MixerBackend::kPlain.");
    const auto saved = context->get_saved_variables();
    const auto number = [&](const char* name) { return context->saved_data[name].toInt(); };
    const MixerSizes sizes{number("d_inner"), number("state"), number("head_dim"), number("width")};
    const MixerShape shape = mixer_shape(saved[0], sizes, static_cast<Direction>(number("direction")));
    const c10::DeviceGuard guard(saved[0].device());
    const Gradients d =
        run_backward(shape, saved[0], saved[1], {saved[2], saved[3], saved[4], saved[5], saved[6], saved[7]},
                     vectorizable(d_out[0].to(saved[0].scalar_type())), current_stream(saved[0]));
    const MixerWeights& w = d.weights;
    return {d.zxbcdt, w.conv_weight, w.conv_bias, w.dt_bias, w.A_log, w.D, w.norm_weight, {}, {}};
  }
};

}  // namespace

MixerShape mixer_shape(const Tensor& zxbcdt, const MixerSizes& sizes, Direction direction) {
  MixerShape shape;
  const auto dtype = zxbcdt.scalar_type();
  shape.scalar = dtype == torch::kBFloat16  ? kernels::Scalar::kBfloat16
                 : dtype == torch::kFloat16 ? kernels::Scalar::kFloat16
                                            : kernels::Scalar::kFloat32;
  shape.reversed = direction == Direction::kBackward;
  shape.outer = zxbcdt.size(0);
  shape.length = static_cast<int>(zxbcdt.size(1));
  shape.inner = zxbcdt.size(2);
  shape.d_inner = static_cast<int>(sizes.d_inner);
  shape.state = static_cast<int>(sizes.state);
  shape.head_dim = static_cast<int>(sizes.head_dim);
  shape.conv_width = static_cast<int>(sizes.conv_width);
  return shape;
}

Tensor mixer_core_fused(const Tensor& zxbcdt, const MixerWeights& weights, const MixerSizes& sizes,
                        Direction direction, MixerState* state, int64_t state_at) {
  const c10::DeviceGuard guard(zxbcdt.device());
  const MixerWeights w{weights.conv_weight.contiguous(), weights.conv_bias.contiguous(),
                       weights.dt_bias.contiguous(),     weights.A_log.contiguous(),
                       weights.D.contiguous(),           weights.norm_weight.contiguous()};
  if (state == nullptr && at::GradMode::is_enabled())
    return FusedMixer::apply(zxbcdt, w.conv_weight, w.conv_bias, w.dt_bias, w.A_log, w.D, w.norm_weight,
                             sizes, direction);

  const torch::NoGradGuard no_grad;
  if (zxbcdt.scalar_type() == torch::kFloat32)
    return mixer_core_infer(zxbcdt, w, sizes, direction, state, state_at);
  const MixerShape shape = mixer_shape(zxbcdt, sizes, direction);
  const cudaStream_t stream = current_stream(zxbcdt);
  MixerState before;
  if (state != nullptr) before = {vectorizable(state->conv), vectorizable(state->ssm)};
  const Convolved convolved = run_conv(shape, zxbcdt, w, before.conv, stream);
  const Tensor y = run_scan(shape, convolved, w, before.ssm, stream);
  if (state != nullptr && state_at > 0) {
    advance_state(shape, zxbcdt, convolved, w, before, static_cast<int>(state_at), stream);
    *state = before;
  }
  return run_gate(shape, zxbcdt, y, w, stream);
}

}  // namespace bsm
