// The separation network: BSMamba2 and the BS-RoFormer baseline, one shell with two kinds of block
// (arXiv 2508.14556 section 2; arXiv 2309.02612).
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/config.h"
#include "nn/mixer.h"

namespace bsm {

/// What a network carries from one piece of a signal to the next: one mixer state per forward-running time block.
/// Belongs to one stream; starts empty.
struct NetworkState {
  std::vector<MixerState> time_blocks;  ///< [depth]
};

/// Frames [begin, end) of a signal; end -1: up to its last.
struct FrameRange {
  int64_t begin = 0;
  int64_t end = -1;
};

/// Called with a name ("band_split", "layers.0.time", ..., "final_norm") and the activation [B, T, K, D], for tests.
using ActivationHook = std::function<void(const std::string& name, const torch::Tensor& activation)>;

/// Parameter names equal those of the published checkpoints.
class SeparationNetworkImpl : public torch::nn::Module {
 public:
  explicit SeparationNetworkImpl(const ModelConfig& config);
  ~SeparationNetworkImpl() override;

  const ModelConfig& config() const { return config_; }

  /// Complex masks for spectrogram frames.
  ///
  /// @param frames  [B, T, F], F = 2 * channels * bins reals per frame, order of Spectrogram; float32
  /// @param state   null: each row is a whole signal. Otherwise (Mamba2 only) the forward-running time blocks continue
  ///                from it, and it is replaced by the state after the first `state_frames` frames.
  /// @param wanted  the frames whose masks are returned; the others are but their context
  /// @return        [B, S, wanted frames, F] float32: S stems, (re, im) of the mask per bin and channel
  /// Parameters stay float32; the blocks compute in compute_dtype().
  torch::Tensor forward(const torch::Tensor& frames, NetworkState* state = nullptr, int64_t state_frames = 0,
                        FrameRange wanted = {});

  /// float32 (default), bfloat16 or float16 for the matrix products and activations of band split, blocks and masks.
  void set_compute_dtype(torch::Dtype dtype);
  torch::Dtype compute_dtype() const;

  /// Training: backward() computes the inside of each block again instead of keeping it (see recompute.h).
  void set_recompute(bool recompute);

  /// Derives the inference-only weights (folded, cast) from the parameters; call after loading weights, moving the module
  /// or changing the compute dtype. forward() under NoGrad/InferenceMode uses them; with gradients it never does.
  /// After a later change of the parameters such a forward() throws until this is called again.
  void prepare_inference();
  /// Forgets what prepare_inference() derived: forward() derives weights at each call again.
  void discard_prepared();

  void set_activation_hook(ActivationHook hook);

 private:
  struct Impl;
  ModelConfig config_;
  std::unique_ptr<Impl> impl_;
};
TORCH_MODULE(SeparationNetwork);

/// Applies complex masks to the mixture's frames: complex product per bin and channel.
/// @param masks [B, S, T, F]  @param frames [B, T, F]  @return [B, S, T, F]
torch::Tensor apply_masks(const torch::Tensor& masks, const torch::Tensor& frames);

/// Learned values in all, without buffers.
int64_t parameter_count(const SeparationNetwork& network);

}  // namespace bsm
