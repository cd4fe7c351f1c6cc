// Launch functions of the kernels around the grouped matrix products of band split and mask heads: inference
// with 16-bit activations. Like mixer_kernels.h they know nothing of LibTorch.
//
// A frame is a row of values, band after band. The products want each band's rows of all frames in one piece:
// the row of band k, w wide, lies at start_k * frames + frame * w, bands of equal width behind one another,
// so that they are the batch of one product.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "nn/cuda/pair_kernels.h"

namespace bsm::kernels {

/// One band of a frame.
struct BandPlace {
  int first;      ///< value of the frame that it starts with
  int width;      ///< values
  int64_t start;  ///< values of the bands before it, rounded up to 8 before each new width: aligned products
};

struct BandShape {
  Scalar scalar = Scalar::kBfloat16;  ///< never kFloat32
  int64_t frames = 0;
  int bands = 0;
  int values = 0;  ///< of a frame
};

/// out = x / max(||x||, 1e-12) of each band.
/// @param in [frames, values] float32  @param places [bands], on the GPU  @param out see above
cudaError_t launch_band_norm(const BandShape& shape, const BandPlace* places, const float* in, void* out,
                             cudaStream_t stream);

/// The residual stream that begins with x = features + bias, and its norm.
/// @param features [frames, bands, dim]  @param dim  a multiple of 4, at most kMaxPairDim
/// @param bias [bands, dim] float32  @param x [frames, bands, dim] float32
cudaError_t launch_band_stream(const BandShape& shape, int dim, const void* features, const float* bias,
                               float* x, const NormedRows& normed, cudaStream_t stream);

/// x = tanh(x + bias), in place; `width` a multiple of 8. @param x [bands, frames, width]  @param bias
/// [bands, width] float32
cudaError_t launch_band_tanh(const BandShape& shape, int width, void* x, const float* bias,
                             cudaStream_t stream);

/// out = a sigmoid(b) with a = in + bias of a band's first values and b = those of as many behind them.
/// @param places  of `out`; `in` and `bias` have twice as many values of each band
/// @param bias [2 * values] float32, band after band  @param out [frames, values] float32
cudaError_t launch_band_glu(const BandShape& shape, const BandPlace* places, const void* in,
                            const float* bias, float* out, cudaStream_t stream);

}  // namespace bsm::kernels
