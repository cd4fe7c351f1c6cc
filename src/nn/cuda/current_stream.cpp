// In a file of its own: the emulated kernels of the tests have a stream of their own.
#include <c10/cuda/CUDAStream.h>

#include "nn/cuda/mixer_fused.h"

namespace bsm {

cudaStream_t current_stream(const torch::Tensor& tensor) {
  return c10::cuda::getCurrentCUDAStream(tensor.get_device());
}

}  // namespace bsm
