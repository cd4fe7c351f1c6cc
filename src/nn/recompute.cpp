#include "nn/recompute.h"

#include <torch/torch.h>

#include <mutex>
#include <utility>

namespace bsm {
namespace {

using torch::Tensor;

Tensor random_state(const torch::Device& device) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

void set_random_state(const torch::Device& device, const Tensor& state) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  generator.set_state(state);
}

struct Recipe : torch::CustomClassHolder {
  std::function<Tensor(const Tensor&)> run;
  Tensor random;  // state of the generator before the first call
};

class Recomputation : public torch::autograd::Function<Recomputation> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x,
                        const c10::intrusive_ptr<Recipe>& recipe) {
    context->save_for_backward({x});
    context->saved_data["recipe"] = c10::IValue::make_capsule(recipe);
    recipe->random = random_state(x.device());
    // With gradients on, as in backward(): without them a block may take its way for inference.
    const torch::AutoGradMode on(true);
    return recipe->run(x.detach()).detach();
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list outputs) {
    const Tensor x = context->get_saved_variables()[0].detach().requires_grad_(true);
    const auto recipe = c10::static_intrusive_pointer_cast<Recipe>(context->saved_data["recipe"].toCapsule());
    const Tensor random_now = random_state(x.device());
    set_random_state(x.device(), recipe->random);
    {
      const torch::AutoGradMode on(true);
      const Tensor y = recipe->run(x);
      torch::autograd::backward({y}, {outputs[0]});  // the parameters' gradients are added where they belong
    }
    set_random_state(x.device(), random_now);
    return {x.grad(), Tensor()};
  }
};

}  // namespace

Tensor recomputed(std::function<Tensor(const Tensor&)> run, const Tensor& x) {
  TORCH_CHECK(x.requires_grad(), "recomputed() needs an input that requires gradients");
  const auto recipe = c10::make_intrusive<Recipe>();
  recipe->run = std::move(run);
  return Recomputation::apply(x, recipe);
}

}  // namespace bsm
