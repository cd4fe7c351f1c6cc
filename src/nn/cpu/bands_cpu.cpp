#include "nn/cpu/bands_cpu.h"

#include <torch/torch.h>

#include <algorithm>

#include "nn/cpu/packed_tensor.h"
#include "nn/cpu/scratch.h"
#include "nn/cpu/team.h"

namespace bsm {

using torch::Tensor;

namespace {

// Enough to use a matrix well each time it is read.
constexpr int64_t kBlockFrames = 96;

/// body(band, row of the batch, first frame, frames) for blocks that cover [B, T] and all bands.
template <typename Body>
void for_blocks(int64_t B, int64_t T, int64_t bands, const Body& body) {
  const int64_t blocks = (T + kBlockFrames - 1) / kBlockFrames;
  // The widest bands are the last: they begin first, so that no thread ends alone with one.
  for_each_on_team(bands * B * blocks, [&](int64_t i) {
    const int64_t band = bands - 1 - i / (B * blocks), block = i % blocks;
    body(band, i / blocks % B, block * kBlockFrames, std::min(kBlockFrames, T - block * kBlockFrames));
  });
}

Tensor packed_square(const Tensor& matrix, const CpuKernels& kernels) {
  const int64_t rows = padded(matrix.size(0)) - matrix.size(0);
  return pack(at::constant_pad_nd(matrix, {0, padded(matrix.size(1)) - matrix.size(1), 0, rows}), kernels);
}

}  // namespace

struct BandFeaturesCpu::Impl {
  CpuKernels kernels = cpu_kernels();
  std::vector<BandFeatures> bands;
  std::vector<int64_t> first_value;
  int64_t frame_size = 0, dim = 0;
  std::vector<Tensor> memory;  // what `bands` points into
};

BandFeaturesCpu::BandFeaturesCpu(const std::vector<BandLinear>& bands) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  for (const BandLinear& band : bands) {
    const int64_t width = band.weight.size(0), dim = band.weight.size(1);
    m.memory.push_back(packed_square(band.weight, m.kernels));
    const float* weight = m.memory.back().data_ptr<float>();
    m.memory.push_back(pad(band.bias, padded(dim)));
    m.bands.push_back({width, padded(width), dim, padded(dim), weight, m.memory.back().data_ptr<float>()});
    m.first_value.push_back(m.frame_size);
    m.frame_size += width;
    m.dim = dim;
  }
}
BandFeaturesCpu::~BandFeaturesCpu() = default;

Tensor BandFeaturesCpu::forward(const Tensor& frames) const {
  const Impl& m = *impl_;
  const int64_t B = frames.size(0), T = frames.size(1), K = static_cast<int64_t>(m.bands.size());
  const Tensor in = frames.contiguous();
  Tensor x = torch::empty({B, T, K, m.dim}, torch::kFloat32);
  const float* from = in.data_ptr<float>();
  float* to = x.data_ptr<float>();
  for_blocks(B, T, K, [&](int64_t k, int64_t b, int64_t first, int64_t count) {
    const BandFeatures& band = m.bands[k];
    const int64_t row = b * T + first;
    m.kernels.band_features(band,
                            {from + row * m.frame_size + m.first_value[k], m.frame_size,
                             to + (row * K + k) * m.dim, K * m.dim, count},
                            Scratch::of_this_thread().at_least(count * band.scratch()));
  });
  return x;
}

struct BandMasksCpu::Impl {
  CpuKernels kernels = cpu_kernels();
  std::vector<BandMasks> bands;
  std::vector<int64_t> first_value;
  int64_t frame_size = 0;
  std::vector<Tensor> memory;  // what `bands` points into
};

BandMasksCpu::BandMasksCpu(std::vector<BandLinear> hidden, std::vector<BandLinear> out)
    : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  const auto keep = [&](const Tensor& tensor) {
    m.memory.push_back(tensor.contiguous());
    return m.memory.back().data_ptr<float>();
  };
  for (size_t k = 0; k < hidden.size(); ++k) {
    const int64_t dim = hidden[k].weight.size(0), units = hidden[k].weight.size(1);
    const int64_t width = out[k].weight.size(1) / 2;
    const auto halves = [&](const Tensor& t) {  // values and gates, each padded
      return torch::cat(
          {pad(t.narrow(-1, 0, width), padded(width)), pad(t.narrow(-1, width, width), padded(width))}, -1);
    };
    BandMasks band;
    band.dim = dim, band.padded_dim = padded(dim), band.padded_hidden = padded(units);
    band.width = width, band.padded_width = padded(width);
    band.hidden_weight = keep(packed_square(hidden[k].weight, m.kernels));
    band.hidden_bias = keep(pad(hidden[k].bias, band.padded_hidden));
    band.out_weight = keep(packed_square(halves(out[k].weight), m.kernels));
    band.out_bias = keep(halves(out[k].bias));
    hidden[k] = out[k] = {};
    m.bands.push_back(band);
    m.first_value.push_back(m.frame_size);
    m.frame_size += width;
  }
}
BandMasksCpu::~BandMasksCpu() = default;

Tensor BandMasksCpu::forward(const Tensor& x) const {
  const Impl& m = *impl_;
  const int64_t B = x.size(0), T = x.size(1), K = x.size(2);
  Tensor masks = torch::empty({B, T, m.frame_size}, torch::kFloat32);
  const float* from = x.data_ptr<float>();
  float* to = masks.data_ptr<float>();
  for_blocks(B, T, K, [&](int64_t k, int64_t b, int64_t first, int64_t count) {
    const BandMasks& band = m.bands[k];
    m.kernels.band_masks(band,
                         {from + b * x.stride(0) + first * x.stride(1) + k * x.stride(2), x.stride(1),
                          to + (b * T + first) * m.frame_size + m.first_value[k], m.frame_size, count},
                         Scratch::of_this_thread().at_least(count * band.scratch()));
  });
  return masks;
}

}  // namespace bsm
