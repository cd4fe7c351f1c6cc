// The pieces of work that can be measured, each as a function to repeat, with what it costs at least.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "nn/cost.h"
#include "separate/model.h"
#include "separate/streaming.h"

namespace bsm {

struct WorkloadSizes {
  double window_s = 8;
  int batch = 1;
  // Streaming; rounded up to whole frames.
  StreamingMode streaming_mode = StreamingMode::kCarry;
  double hop_ms = 500;
  double lookahead_ms = 500;
  double context_ms = 2000;  ///< rolling only
};

struct Workload {
  std::function<void()> run;
  double audio_s = 0;   ///< new audio per run
  NetworkCost network;  ///< of one forward pass over all frames of a run
  double flop = 0;      ///< at least, per run
  double bytes = 0;     ///< at least, per run
  std::string note;     ///< what differs from the sizes asked for, else empty
};

/// The network alone on frames that lie on its device.
Workload network_workload(const std::shared_ptr<const Model>& model, const WorkloadSizes& sizes);

/// OfflineSeparator on `batch` windows of audio in host memory, back to back: STFT, transfers, network,
/// iSTFT.
Workload offline_workload(const std::shared_ptr<const Model>& model, const WorkloadSizes& sizes);

/// One hop through a StreamingSeparator that runs already: push, inference, pull. Transformers, which cannot
/// carry a state, run in rolling mode.
Workload stream_workload(const std::shared_ptr<const Model>& model, const WorkloadSizes& sizes);

/// One training step as in `bsmamba2 train`: forward, loss, gradients, optimizer. Changes the model's
/// network. Throws Error(kSettings) for fp16 and for windows shorter than the loss takes.
Workload train_workload(const std::shared_ptr<const Model>& model, const WorkloadSizes& sizes);

/// STFT frames of a window, at least 1.
int64_t window_frames(const ModelConfig& config, double window_s);
/// Bytes of a value of weights and activations at the model's precision.
int64_t value_bytes(const Model& model);

}  // namespace bsm
