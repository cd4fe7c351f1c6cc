// LibTorch's products of 16-bit matrices, for tests that run the kernels on the host: summed in float32 and
// rounded once, as a GPU does. Those of version 1.13 on a CPU are summed in 16 bits where both matrices lie
// row by row (256 terms: off by 4e-2), which would hide what the kernels do.
#include <torch/library.h>
#include <torch/torch.h>

namespace bsm {
namespace {

using torch::Tensor;

Tensor batch_product(const Tensor& a, const Tensor& b) {
  std::vector<Tensor> products;
  for (int64_t i = 0; i < a.size(0); ++i)
    products.push_back(a[i].to(torch::kFloat32).mm(b[i].to(torch::kFloat32)));
  return torch::stack(products).to(a.scalar_type());
}

Tensor& product_into(const Tensor& a, const Tensor& b, Tensor& out) {
  return out.copy_(a.to(torch::kFloat32).mm(b.to(torch::kFloat32)));
}

Tensor& batch_product_into(const Tensor& a, const Tensor& b, Tensor& out) {
  return out.copy_(batch_product(a, b));
}

TORCH_LIBRARY_IMPL(aten, CPU, library) {
  library.impl("mm.out", product_into);
  library.impl("bmm", batch_product);
  library.impl("bmm.out", batch_product_into);
}

}  // namespace
}  // namespace bsm
