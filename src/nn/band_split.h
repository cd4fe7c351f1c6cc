// From spectrogram frames to one vector per band, and from those to complex masks (arXiv 2309.02612, section
// 3). Bands of equal width are neighbours, so each run of them is one batched matrix product instead of many
// small ones.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <optional>
#include <vector>

#include "nn/blocks.h"
#include "nn/config.h"
#include "nn/cpu/bands_cpu.h"
#include "nn/cuda/bands_cuda.h"

namespace bsm {

/// Neighbouring bands of equal width.
struct BandRun {
  int64_t first_band = 0;
  int64_t bands = 0;
  int64_t first_value = 0;  ///< offset in a frame
  int64_t width = 0;        ///< reals of one band in a frame: 2 * channels * bins
};

std::vector<BandRun> band_runs(const ModelConfig& config);

/// Per band: RMSNorm A over the band's reals, then Linear to D.
class BandSplit : public torch::nn::Module {
 public:
  explicit BandSplit(const ModelConfig& config);

  /// @param frames [B, T, F] float32  @return [B, T, K, D]; products in `dtype`
  ResidualStream forward(const torch::Tensor& frames, torch::Dtype dtype) const;
  void prepare_inference(torch::Dtype dtype);
  void discard_prepared();

 private:
  /// Per run [bands, width, D], norm factors multiplied in, and [bands, 1, D].
  std::vector<BandGroup> stack(torch::Dtype dtype) const;

  std::vector<BandRun> runs_;
  std::vector<std::shared_ptr<Scale>> norms_;
  std::vector<std::shared_ptr<Affine>> linears_;
  std::optional<std::vector<BandGroup>> prepared_;
  std::unique_ptr<BandFeaturesCpu> prepared_cpu_;
  std::unique_ptr<BandFeaturesCuda> prepared_cuda_;
};

/// One stem's mask. Per band: Linear(D -> hidden), tanh, Linear(hidden -> 2 * width), GLU.
class MaskEstimator : public torch::nn::Module {
 public:
  explicit MaskEstimator(const ModelConfig& config);

  /// @param x [B, T, K, D] float32: the stream before the final RMSNorm A, which is part of this; any strides
  ///   but the last
  /// @param final_gamma [D]: the norm's factors, multiplied into the first matrices
  /// @return [B, T, F] float32; products in `dtype`
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& final_gamma, torch::Dtype dtype) const;
  void prepare_inference(torch::Dtype dtype, const torch::Tensor& final_gamma);
  void discard_prepared();

 private:
  struct Stacked {
    BandGroup hidden;            ///< [K, D, hidden], [K, 1, hidden]
    std::vector<BandGroup> out;  ///< per run [bands, hidden, 2 * width], [bands, 1, 2 * width]
  };
  Stacked stack(torch::Dtype dtype, const torch::Tensor& final_gamma) const;

  std::vector<BandRun> runs_;
  std::vector<std::shared_ptr<Affine>> hidden_, out_;
  std::optional<Stacked> prepared_;
  std::unique_ptr<BandMasksCpu> prepared_cpu_;
  std::unique_ptr<BandMasksCuda> prepared_cuda_;
};

}  // namespace bsm
