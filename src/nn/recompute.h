// Activations computed again in the backward pass instead of kept for it (Chen et al. 2016, arXiv
// 1604.06174): training takes the memory of one block instead of all, and about a third more time.
#pragma once

#include <torch/types.h>

#include <functional>

namespace bsm {

/// run(x), with the same result and gradients as without, of whose inside nothing is kept but x. The
/// gradients of the parameters inside come by backward(); torch::autograd::grad() does not see them.
///
/// @param x    must require gradients
/// @param run  called now and once more in backward(), with the same state of the device's random generator;
/// must be the
///             same function of x and of parameters that have not changed in between
torch::Tensor recomputed(std::function<torch::Tensor(const torch::Tensor&)> run, const torch::Tensor& x);

}  // namespace bsm
