#include "nn/cuda/bands_fused.h"

#include <c10/core/DeviceGuard.h>
#include <torch/torch.h>

#include <string>

#include "nn/cuda/bands_kernels.h"
#include "nn/cuda/cuda_error.h"
#include "nn/cuda/mixer_fused.h"

namespace bsm {

using kernels::BandPlace;
using kernels::BandShape;
using torch::Tensor;

namespace {

void check(cudaError_t error, const char* kernel) {
  if (error != cudaSuccess) throw_cuda_error(error, std::string("running the bands' ") + kernel + " kernel");
}

/// Where a frame's bands go; see bands_kernels.h.
class BandLayout {
 public:
  struct Run {
    int64_t first_band, bands, width, start;
  };

  /// @param widths, counts  of each run of bands
  BandLayout(const std::vector<int64_t>& widths, const std::vector<int64_t>& counts, torch::Device device) {
    std::vector<BandPlace> places;
    for (size_t r = 0; r < widths.size(); ++r) {
      values_a_frame_ = (values_a_frame_ + 7) / 8 * 8;
      runs_.push_back({static_cast<int64_t>(places.size()), counts[r], widths[r], values_a_frame_});
      for (int64_t k = 0; k < counts[r]; ++k) {
        places.push_back({values_, static_cast<int>(widths[r]), values_a_frame_});
        values_ += static_cast<int>(widths[r]);
        values_a_frame_ += widths[r];
      }
    }
    bands_ = static_cast<int>(places.size());
    const auto bytes = static_cast<int64_t>(places.size() * sizeof(BandPlace));
    places_ = torch::from_blob(places.data(), {bytes}, torch::kUInt8).clone().to(device);
  }

  const std::vector<Run>& runs() const { return runs_; }
  const BandPlace* places() const { return static_cast<const BandPlace*>(places_.data_ptr()); }
  BandShape shape(int64_t frames, torch::Dtype dtype) const {
    return {dtype == torch::kFloat16 ? kernels::Scalar::kFloat16 : kernels::Scalar::kBfloat16, frames, bands_,
            values_};
  }
  /// Memory for `factor` times the values of `frames` frames, and the rows of a run in it.
  Tensor rows(int64_t frames, int64_t factor, const torch::TensorOptions& options) const {
    return torch::empty({values_a_frame_ * frames * factor}, options);
  }
  static Tensor rows_of(const Tensor& rows, const Run& run, int64_t frames, int64_t factor) {
    return rows.narrow(0, factor * run.start * frames, factor * run.bands * frames * run.width)
        .view({run.bands, frames, factor * run.width});
  }

 private:
  std::vector<Run> runs_;
  int values_ = 0, bands_ = 0;
  int64_t values_a_frame_ = 0;  // as laid out
  Tensor places_;
};

std::vector<int64_t> sizes_of(const std::vector<BandGroup>& runs, int64_t dimension, int64_t divisor = 1) {
  std::vector<int64_t> sizes;
  for (const BandGroup& run : runs) sizes.push_back(run.weight.size(dimension) / divisor);
  return sizes;
}

std::vector<Tensor> weights_of(const std::vector<BandGroup>& runs, torch::Dtype dtype) {
  std::vector<Tensor> weights;
  for (const BandGroup& run : runs) weights.push_back(run.weight.to(dtype).contiguous());
  return weights;
}

class Features : public BandFeaturesCuda {
 public:
  Features(const std::vector<BandGroup>& runs, torch::Dtype dtype)
      : layout_(sizes_of(runs, 1), sizes_of(runs, 0), runs[0].weight.device()),
        weights_(weights_of(runs, dtype)) {
    std::vector<Tensor> biases;
    for (const BandGroup& run : runs) biases.push_back(run.bias.squeeze(1));
    bias_ = torch::cat(biases).to(torch::kFloat32).contiguous();  // [K, D]
  }

  ResidualStream forward(const Tensor& frames) const override {
    const c10::DeviceGuard guard(frames.device());
    const int64_t n = frames.size(0) * frames.size(1), K = bias_.size(0), D = bias_.size(1);
    const auto options = weights_[0].options();
    const BandShape shape = layout_.shape(n, weights_[0].scalar_type());
    const Tensor in = frames.contiguous(), rows = layout_.rows(n, 1, options);
    check(kernels::launch_band_norm(shape, layout_.places(), in.data_ptr<float>(), rows.data_ptr(),
                                    current_stream(in)),
          "norm");
    const Tensor features = torch::empty({n, K, D}, options);
    for (size_t r = 0; r < weights_.size(); ++r) {
      const BandLayout::Run& run = layout_.runs()[r];
      Tensor out = features.narrow(1, run.first_band, run.bands).transpose(0, 1);
      torch::bmm_out(out, BandLayout::rows_of(rows, run, n, 1), weights_[r]);
    }
    const Tensor x = torch::empty({frames.size(0), frames.size(1), K, D}, in.options()),
                 xn = torch::empty({n * K, D}, options), rms = torch::empty({n * K}, in.options());
    check(kernels::launch_band_stream(shape, static_cast<int>(D), features.data_ptr(),
                                      bias_.data_ptr<float>(), x.data_ptr<float>(),
                                      {xn.data_ptr(), rms.data_ptr<float>()}, current_stream(in)),
          "stream");
    return {x, {xn, rms}};
  }

 private:
  BandLayout layout_;
  std::vector<Tensor> weights_;
  Tensor bias_;
};

class Masks : public BandMasksCuda {
 public:
  Masks(const BandGroup& hidden, const std::vector<BandGroup>& out, torch::Dtype dtype)
      : in_layout_({hidden.weight.size(1)}, {hidden.weight.size(0)}, hidden.weight.device()),
        out_layout_(sizes_of(out, 2, 2), sizes_of(out, 0), hidden.weight.device()),
        hidden_weight_(hidden.weight.to(dtype).contiguous()),
        hidden_bias_(hidden.bias.to(torch::kFloat32).contiguous()),
        weights_(weights_of(out, dtype)) {
    std::vector<Tensor> biases;
    for (const BandGroup& run : out) biases.push_back(run.bias.flatten());
    bias_ = torch::cat(biases);
  }

  Tensor forward(const Tensor& x) const override {
    const c10::DeviceGuard guard(x.device());
    const int64_t n = x.size(0) * x.size(1);
    const auto options = hidden_weight_.options();
    const Tensor in = x.contiguous(), rows = in_layout_.rows(n, 1, options);
    const cudaStream_t stream = current_stream(in);
    const BandShape in_shape = in_layout_.shape(n, hidden_weight_.scalar_type()),
                    out_shape = out_layout_.shape(n, hidden_weight_.scalar_type());
    check(kernels::launch_band_norm(in_shape, in_layout_.places(), in.data_ptr<float>(), rows.data_ptr(),
                                    stream),
          "norm");
    const Tensor hidden = torch::bmm(BandLayout::rows_of(rows, in_layout_.runs()[0], n, 1), hidden_weight_);
    check(kernels::launch_band_tanh(in_shape, static_cast<int>(hidden.size(2)), hidden.data_ptr(),
                                    hidden_bias_.data_ptr<float>(), stream),
          "tanh");
    const Tensor products = out_layout_.rows(n, 2, options);
    for (size_t r = 0; r < weights_.size(); ++r) {
      const BandLayout::Run& run = out_layout_.runs()[r];
      Tensor out = BandLayout::rows_of(products, run, n, 2);
      torch::bmm_out(out, hidden.narrow(0, run.first_band, run.bands), weights_[r]);
    }
    const Tensor masks = torch::empty({x.size(0), x.size(1), out_shape.values}, in.options());
    check(kernels::launch_band_glu(out_shape, out_layout_.places(), products.data_ptr(),
                                   bias_.data_ptr<float>(), masks.data_ptr<float>(), stream),
          "mask");
    return masks;
  }

 private:
  BandLayout in_layout_, out_layout_;
  Tensor hidden_weight_, hidden_bias_;
  std::vector<Tensor> weights_;
  Tensor bias_;
};

}  // namespace

std::unique_ptr<BandFeaturesCuda> fused_band_features(const std::vector<BandGroup>& runs,
                                                      torch::Dtype dtype) {
  return std::make_unique<Features>(runs, dtype);
}

std::unique_ptr<BandMasksCuda> fused_band_masks(const BandGroup& hidden, const std::vector<BandGroup>& out,
                                                torch::Dtype dtype) {
  return std::make_unique<Masks>(hidden, out, dtype);
}

}  // namespace bsm
