#include "train/flat_parameters.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/error.h"

namespace bsm {
namespace {

constexpr int64_t kAlignment =
    64;  // floats: each tensor starts on a 256-byte boundary, as if allocated alone

}  // namespace

FlatParameters::FlatParameters(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  const auto parameters = module.named_parameters();
  int64_t size = 0;
  std::ostringstream layout;
  for (const auto& item : parameters) {
    layout << item.key() << ' ' << item.value().sizes() << " at " << size << '\n';
    size += (item.value().numel() + kAlignment - 1) / kAlignment * kAlignment;
  }
  if (size == 0) throw Error(ErrorCode::kFailed, "The network to train has no parameters.");
  layout_ = layout.str();

  const torch::TensorOptions options = parameters.begin()->value().options().requires_grad(false);
  weights = torch::zeros({size}, options);
  gradients = torch::zeros({size}, options);
  first_moment = torch::zeros({size}, options);
  second_moment = torch::zeros({size}, options);
  decay_ = torch::zeros({size}, options);
  skipped_ = torch::zeros({}, options);
  gradient_norm_ = torch::zeros({}, options);
  int64_t place = 0;
  for (const auto& item : parameters) {
    torch::Tensor parameter = item.value();
    const int64_t values = parameter.numel();
    torch::Tensor view = weights.narrow(0, place, values).view(parameter.sizes());
    view.copy_(parameter);
    parameter.set_data(view);
    parameter.mutable_grad() = gradients.narrow(0, place, values).view(parameter.sizes());
    if (parameter.dim() >= 2) decay_.narrow(0, place, values).fill_(1);
    place += (values + kAlignment - 1) / kAlignment * kAlignment;
  }
  average = weights.clone();
}

void FlatParameters::zero_grad() { gradients.zero_(); }

void FlatParameters::step(double learning_rate, const AdamWSettings& settings) {
  const torch::NoGradGuard no_grad;
  ++updates_;
  gradient_norm_ = gradients.norm();
  const torch::Tensor finite = gradient_norm_.isfinite();
  skipped_ += finite.logical_not().to(skipped_.scalar_type());
  const torch::Tensor scale = (settings.clip / (gradient_norm_ + 1e-6)).clamp_max(1);
  const torch::Tensor gradient =
      torch::where(finite, gradients * scale, torch::zeros({1}, gradients.options()));

  const auto [beta1, beta2] = settings.betas;
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(updates_));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(updates_));
  first_moment.mul_(beta1).add_(gradient, 1 - beta1);
  second_moment.mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
  if (settings.weight_decay > 0) weights.mul_(1 - decay_ * (learning_rate * settings.weight_decay));
  const torch::Tensor denominator = second_moment.sqrt().div_(std::sqrt(correction2)).add_(settings.epsilon);
  weights.addcdiv_(first_moment, denominator, -learning_rate / correction1);

  const double t = static_cast<double>(updates_);
  average.lerp_(weights, 1 - std::min(settings.ema, (1 + t) / (10 + t)));
}

void FlatParameters::swap_average() {
  const torch::NoGradGuard no_grad;
  const torch::Tensor weights_before = weights.clone();
  weights.copy_(average);
  average.copy_(weights_before);
}

void FlatParameters::reset_average() {
  const torch::NoGradGuard no_grad;
  average.copy_(weights);
}

}  // namespace bsm
