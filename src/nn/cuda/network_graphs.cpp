#include "nn/cuda/network_graphs.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <algorithm>
#include <list>
#include <string>
#include <tuple>
#include <utility>

#include "core/log.h"
#include "nn/stages.h"

namespace bsm {

using torch::Tensor;

namespace {

constexpr size_t kMostGraphs = 4;  // each holds the memory of a forward pass

/// Other threads may allocate while this one records.
void begin_recording(at::cuda::CUDAGraph& graph) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 1)
  graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
#else
  graph.capture_begin();
#endif
}

struct Recording {
  // B, T, with a state, state_frames, wanted frames
  std::tuple<int64_t, int64_t, bool, int64_t, int64_t, int64_t, MixerBackend> key;
  std::unique_ptr<at::cuda::CUDAGraph> graph;  // null: seen once
  bool seen = false;
  Tensor frames, masks;
  NetworkState before, after;
};

void copy_state(const NetworkState& from, NetworkState& to) {
  for (size_t l = 0; l < to.time_blocks.size(); ++l) {
    const MixerState source = l < from.time_blocks.size() ? from.time_blocks[l] : MixerState();
    const auto copy = [](const Tensor& value, Tensor& place) {
      value.defined() ? place.copy_(value) : place.zero_();
    };
    copy(source.conv, to.time_blocks[l].conv);
    copy(source.ssm, to.time_blocks[l].ssm);
  }
}

NetworkState clone_state(const NetworkState& state) {
  NetworkState copy = state;
  for (MixerState& block : copy.time_blocks) {
    block.conv = block.conv.clone();
    block.ssm = block.ssm.clone();
  }
  return copy;
}

}  // namespace

struct NetworkGraphs::Impl {
  SeparationNetwork network{nullptr};
  std::list<Recording> recordings;  // the last used first
  bool disabled = false;

  Recording& find(const decltype(Recording::key)& key) {
    const auto found =
        std::find_if(recordings.begin(), recordings.end(), [&](const Recording& r) { return r.key == key; });
    if (found != recordings.end()) {
      recordings.splice(recordings.begin(), recordings, found);
    } else {
      recordings.emplace_front();
      recordings.front().key = key;
      if (recordings.size() > kMostGraphs) recordings.pop_back();
    }
    return recordings.front();
  }

  /// Leaves the recording without a graph when it fails.
  void record(Recording& recording, const Tensor& frames, const NetworkState* state, int64_t state_frames,
              FrameRange wanted) {
    recording.frames = frames.clone();
    if (state != nullptr) recording.before = clone_state(*state);
    const auto run = [&] {
      recording.after = recording.before;
      recording.masks = network->forward(recording.frames, state != nullptr ? &recording.after : nullptr,
                                         state_frames, wanted);
    };
    c10::cuda::getCurrentCUDAStream(frames.get_device()).synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();  // what this stream has kept is of no use to another
    const auto stream = c10::cuda::getStreamFromPool(true, frames.get_device());
    const c10::cuda::CUDAStreamGuard guard(stream);
    run();  // libraries make their handles and choices for this stream
    stream.synchronize();
    recording.masks = Tensor();
    recording.after = NetworkState();
    c10::cuda::CUDACachingAllocator::emptyCache();

    auto graph = std::make_unique<at::cuda::CUDAGraph>();
    begin_recording(*graph);
    try {
      run();
    } catch (...) {
      graph->capture_end();
      throw;
    }
    graph->capture_end();
    recording.graph = std::move(graph);
  }
};

NetworkGraphs::NetworkGraphs(SeparationNetwork network) : impl_(std::make_unique<Impl>()) {
  impl_->network = std::move(network);
}
NetworkGraphs::~NetworkGraphs() = default;

Tensor NetworkGraphs::forward(const Tensor& frames, NetworkState* state, int64_t state_frames,
                              FrameRange wanted) {
  const auto as_it_is = [&] { return impl_->network->forward(frames, state, state_frames, wanted); };
  if (!frames.is_cuda() || stage_observer != nullptr || impl_->disabled) return as_it_is();
  Recording& recording = impl_->find({frames.size(0), frames.size(1), state != nullptr, state_frames,
                                      wanted.begin, wanted.end, mixer_backend()});
  if (!recording.graph) {
    // The first call of a stream has no state yet, whose tensors the recording needs.
    const bool ready =
        state == nullptr || (!state->time_blocks.empty() && state->time_blocks[0].ssm.defined());
    if (!std::exchange(recording.seen, true) || !ready) return as_it_is();
    try {
      impl_->record(recording, frames, state, state_frames, wanted);
    } catch (const c10::Error& error) {
      impl_->disabled = true;
      impl_->recordings.clear();
      log(LogLevel::kWarning,
          std::string("The network could not be recorded as a CUDA graph and runs without one: ") +
              error.what_without_backtrace());
      return as_it_is();
    }
  }
  recording.frames.copy_(frames);
  if (state != nullptr) copy_state(*state, recording.before);
  recording.graph->replay();
  if (state != nullptr) *state = clone_state(recording.after);
  return recording.masks;
}

}  // namespace bsm
