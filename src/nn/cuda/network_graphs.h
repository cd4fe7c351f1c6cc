// A network whose inference is recorded as CUDA graphs: on a GPU the hundreds of launches of a forward pass
// become one.
#pragma once

#include <torch/types.h>

#include <memory>

#include "nn/network.h"

namespace bsm {

class NetworkGraphs {
 public:
  /// The network's weights must not change afterwards.
  explicit NetworkGraphs(SeparationNetwork network);
  ~NetworkGraphs();

  /// As SeparationNetworkImpl::forward(), in inference mode. A shape that comes a second time is recorded,
  /// then replayed; the few shapes used last are kept. On a CPU, in builds without CUDA and while a
  /// StageObserver watches, the network runs as it is. Calls must not overlap.
  /// @return masks; on a GPU they are overwritten by the next call
  torch::Tensor forward(const torch::Tensor& frames, NetworkState* state = nullptr, int64_t state_frames = 0,
                        FrameRange wanted = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bsm
