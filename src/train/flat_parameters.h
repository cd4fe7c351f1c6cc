// All learned values of a network in one flat vector, gradients in another, so that clipping, AdamW and the
// moving average are a dozen operators per step instead of a dozen for each of a thousand tensors.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <array>
#include <cstdint>
#include <string>

namespace bsm {

struct AdamWSettings {
  std::array<double, 2> betas{0.9, 0.999};
  double epsilon = 1e-8;
  double weight_decay = 0.01;  ///< decoupled (Loshchilov & Hutter 2019), on tensors of two or more dimensions
  double clip = 3;             ///< largest norm of the whole gradient
  double ema = 0.999;          ///< decay of the moving average; (1 + t) / (10 + t) while that is smaller
};

class FlatParameters {
 public:
  /// Moves the module's parameters (float32, one device) into one vector and makes them views of it, with
  /// gradients that are views too. The module must not be moved or converted afterwards.
  explicit FlatParameters(torch::nn::Module& module);

  void zero_grad();
  /// Clips, updates weights and moving average from the gradients. A gradient that is not finite changes the
  /// weights by the moments alone and counts in skipped().
  void step(double learning_rate, const AdamWSettings& settings);
  /// Exchanges the weights and their moving average (twice = unchanged).
  void swap_average();
  /// Restarts the moving average from the weights, as after loading other weights.
  void reset_average();

  /// Names, shapes and places, one line each: two networks with equal layouts have interchangeable vectors.
  const std::string& layout() const { return layout_; }
  int64_t updates() const { return updates_; }
  void set_updates(int64_t updates) { updates_ = updates; }
  /// Steps with a gradient that was not finite; scalar on the device.
  const torch::Tensor& skipped() const { return skipped_; }
  /// Norm of the last step's gradient before clipping; scalar on the device.
  const torch::Tensor& gradient_norm() const { return gradient_norm_; }

  torch::Tensor weights, gradients, first_moment, second_moment, average;  ///< [values], float32

 private:
  torch::Tensor decay_;  // [values]: 1 where weight decay applies
  torch::Tensor skipped_;
  torch::Tensor gradient_norm_;
  std::string layout_;
  int64_t updates_ = 0;
};

}  // namespace bsm
