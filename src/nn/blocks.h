// The blocks along time and along bands: a pair of Mamba2 mixers (BSMamba2) or a transformer layer
// (BS-RoFormer). Both read and return the residual stream [B, T, K, D] in float32, contiguous, and never
// transpose it in memory.
#pragma once

#include <torch/torch.h>

#include <memory>

#include "nn/config.h"
#include "nn/mixer.h"
#include "nn/residual_stream.h"

namespace bsm {

enum class Axis { kTime, kBand };

/// One layer's pass along one axis.
class AxisBlock : public torch::nn::Module {
 public:
  /// @param stream  without gradients it may be computed in place: read the result alone
  /// @param state, state_at  as for mixer_core(); null for a whole signal. Only Mamba2 blocks along time take
  /// a state.
  virtual ResidualStream forward(const ResidualStream& stream, MixerState* state, int64_t state_at) = 0;

  /// Dtype of matrix products and activations inside the block. Discards what prepare_inference() derived.
  virtual void set_compute_dtype(torch::Dtype dtype) = 0;
  /// Derives inference-only weights from the parameters; used by forward() while gradients are off.
  virtual void prepare_inference() = 0;
  virtual void discard_prepared() = 0;
};

/// The block of the kind that the configuration names.
std::shared_ptr<AxisBlock> make_axis_block(const ModelConfig& config, Axis axis);
std::shared_ptr<AxisBlock> make_transformer_block(const ModelConfig& config, Axis axis);

/// A weight and an optional bias under the names that torch::nn::Linear and the published checkpoints use.
struct Affine : torch::nn::Module {
  torch::Tensor weight;
  torch::Tensor bias;
  /// Start values as in PyTorch: uniform in +-1 / sqrt(fan_in), for weight and bias.
  Affine(at::IntArrayRef weight_shape, int64_t bias_size, int64_t fan_in);
};

/// A norm's factors, stored as "weight" (RMSNorm B) or "gamma" (RMSNorm A); start value 1.
struct Scale : torch::nn::Module {
  torch::Tensor values;
  Scale(const char* name, int64_t size);
};

/// x / max(||x||, 1e-12) over the last dimension: RMSNorm A without its factors sqrt(dim) * gamma, which
/// belong into the matrix that follows.
torch::Tensor unit_norm(const torch::Tensor& x);

/// x * rsqrt(mean(x^2) + 1e-5) over the last dimension: RMSNorm B without its factors.
torch::Tensor rms_norm(const torch::Tensor& x);

}  // namespace bsm
