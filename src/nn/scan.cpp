#include "nn/scan.h"

#include <torch/torch.h>

#include <limits>

namespace bsm {

using torch::Tensor;

namespace {

Tensor state_or_zeros(const Tensor& state, at::IntArrayRef shape, const Tensor& like) {
  return state.defined() ? state : torch::zeros(shape, like.options());
}

}  // namespace

ScanOutput scan_reference(const ScanInput& input) {
  const int64_t S = input.x.size(0), L = input.x.size(1), H = input.x.size(2), P = input.x.size(3);
  const int64_t N = input.B.size(2);
  Tensor h = state_or_zeros(input.initial_state, {S, H, P, N}, input.x);
  std::vector<Tensor> y;
  y.reserve(static_cast<size_t>(L));
  for (int64_t t = 0; t < L; ++t) {
    const Tensor dt = input.dt.select(1, t);                     // [S, H]
    const Tensor decay = (dt * input.A).exp();                   // [S, H]
    const Tensor dtx = dt.unsqueeze(-1) * input.x.select(1, t);  // [S, H, P]
    const Tensor B = input.B.select(1, t).view({S, 1, 1, N});
    const Tensor C = input.C.select(1, t).view({S, 1, N, 1});
    h = h * decay.view({S, H, 1, 1}) + dtx.unsqueeze(-1) * B;  // [S, H, P, N]
    y.push_back(h.matmul(C).squeeze(-1));                      // [S, H, P]
  }
  return {torch::stack(y, 1), h};
}

ScanOutput scan_chunked(const ScanInput& input, int64_t chunk) {
  const int64_t S = input.x.size(0), L = input.x.size(1), H = input.x.size(2), P = input.x.size(3);
  const int64_t N = input.B.size(2);
  const int64_t Q = std::min(chunk, L);
  const int64_t chunks = (L + Q - 1) / Q;
  const int64_t padding = chunks * Q - L;

  // Padding with dt = 0 leaves the state alone (decay 1, nothing added), so the final state needs no special
  // case.
  Tensor dt = input.dt, x = input.x * dt.unsqueeze(-1), B = input.B, C = input.C;
  if (padding > 0) {
    dt = torch::constant_pad_nd(dt, {0, 0, 0, padding});
    x = torch::constant_pad_nd(x, {0, 0, 0, 0, 0, padding});
    B = torch::constant_pad_nd(B, {0, 0, 0, padding});
    C = torch::constant_pad_nd(C, {0, 0, 0, padding});
  }
  x = x.reshape({S * chunks, Q, H, P});
  B = B.reshape({S * chunks, Q, N});
  C = C.reshape({S * chunks, Q, N});

  // Log decay from the chunk's start to element q. Summed in float64: differences of large sums are taken
  // below.
  const Tensor log_decay = (dt.to(torch::kFloat64) * input.A.to(torch::kFloat64))
                               .reshape({S * chunks, Q, H})
                               .cumsum(1)
                               .transpose(1, 2);  // [S*chunks, H, Q]
  const Tensor last = log_decay.slice(2, Q - 1);  // [S*chunks, H, 1]

  // 1. Within a chunk: y_q = sum over r <= q of (C_q . B_r) exp(log_decay_q - log_decay_r) dt_r x_r. The
  // upper triangle
  //    is masked before exp(), where it could overflow and poison the gradient.
  const Tensor future = torch::ones({Q, Q}, torch::TensorOptions(x.device()).dtype(torch::kBool)).triu(1);
  const Tensor decay = (log_decay.unsqueeze(3) - log_decay.unsqueeze(2))
                           .masked_fill(future, -std::numeric_limits<double>::infinity())
                           .to(x.dtype())
                           .exp();                                        // [S*chunks, H, Q, Q]
  const Tensor scores = C.bmm(B.transpose(1, 2)).unsqueeze(1);            // [S*chunks, 1, Q, Q]
  Tensor y = (scores * decay).matmul(x.transpose(1, 2)).transpose(1, 2);  // [S*chunks, Q, H, P]

  // 2. What each chunk adds to the state: sum over r of exp(last - log_decay_r) dt_r x_r B_r^T.
  const Tensor to_end =
      (last - log_decay).to(x.dtype()).exp().transpose(1, 2).unsqueeze(3);  // [S*chunks, Q, H, 1]
  const Tensor added =
      (x * to_end).reshape({S * chunks, Q, H * P}).transpose(1, 2).bmm(B).view({S, chunks, H, P, N});

  // 3. The recurrence over chunks: states[c] is the state before chunk c.
  const Tensor chunk_decay = last.to(x.dtype()).exp().view({S, chunks, H, 1, 1});
  Tensor h = state_or_zeros(input.initial_state, {S, H, P, N}, x);
  std::vector<Tensor> states;
  for (int64_t c = 0; c < chunks; ++c) {
    states.push_back(h);
    h = h * chunk_decay.select(1, c) + added.select(1, c);
  }

  // 4. From the state before the chunk to its elements: exp(log_decay_q) h C_q.
  if (chunks > 1 || input.initial_state.defined()) {
    const Tensor before = torch::stack(states, 1).view({S * chunks, H * P, N});
    const Tensor from_start =
        log_decay.to(x.dtype()).exp().transpose(1, 2).unsqueeze(3);  // [S*chunks, Q, H, 1]
    y = y + C.bmm(before.transpose(1, 2)).view({S * chunks, Q, H, P}) * from_start;
  }
  return {y.reshape({S, chunks * Q, H, P}).slice(1, 0, L), h};
}

ConvOutput causal_conv(const Tensor& u, const Tensor& weight, const Tensor& bias,
                       const Tensor& initial_state) {
  const int64_t L = u.size(1), width = weight.size(1);
  // A handful of shifted products: depthwise conv1d would want channels before time, which costs two
  // transposes.
  const Tensor padded = torch::cat({state_or_zeros(initial_state, {u.size(0), width - 1, u.size(2)}, u), u},
                                   1);  // [S, width - 1 + L, ch]
  Tensor y = bias + padded.slice(1, 0, L) * weight.select(1, 0);
  for (int64_t j = 1; j < width; ++j) y = torch::addcmul(y, padded.slice(1, j, j + L), weight.select(1, j));
  return {y, padded.slice(1, L)};
}

}  // namespace bsm
