// Stands in for network_graphs.cpp in builds without CUDA.
#include "nn/cuda/network_graphs.h"

namespace bsm {

struct NetworkGraphs::Impl {
  SeparationNetwork network{nullptr};
};

NetworkGraphs::NetworkGraphs(SeparationNetwork network) : impl_(new Impl{std::move(network)}) {}
NetworkGraphs::~NetworkGraphs() = default;

torch::Tensor NetworkGraphs::forward(const torch::Tensor& frames, NetworkState* state, int64_t state_frames,
                                     FrameRange wanted) {
  return impl_->network->forward(frames, state, state_frames, wanted);
}

}  // namespace bsm
