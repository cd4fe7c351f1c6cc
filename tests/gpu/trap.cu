#include "trap.h"

#include <cuda_runtime.h>

namespace bsm::test {
namespace {

__global__ void trap() { asm("trap;"); }

// Not the default one, so that the trap does not wait for the network's kernels.
cudaStream_t stream;

std::string text(cudaError_t error) { return error == cudaSuccess ? "" : cudaGetErrorString(error); }

}  // namespace

std::string why_no_gpu() {
  int gpus = 0;
  const cudaError_t error = cudaGetDeviceCount(&gpus);
  return error == cudaSuccess && gpus == 0 ? "CUDA finds none" : text(error);
}

std::string prepare_trap() {
  cudaFuncAttributes attributes;
  cudaError_t error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, trap);
  return text(error);
}

std::string spring_trap() {
  trap<<<1, 1, 0, stream>>>();
  return text(cudaStreamSynchronize(stream));
}

}  // namespace bsm::test
