// A fake engine behind the true C ABI, without a network: the voice is a quarter of the input (a half when
// the model file says "half"), the rest is what remains. It holds samples back exactly as the true one does
// (hop, look-ahead, tail). Tests steer it through this struct, which the library exports through
// fake_engine_control().
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/engine.h"

namespace bsm::fake {

inline constexpr int kFrameHopSamples = 441;
inline constexpr int kTailSamples = 2048 - 441;
inline constexpr float kVoiceShare = 0.25F;
inline constexpr const char* kHalfModel = "half";  ///< contents of a file whose kVoiceShare is 0.5

enum class Fault {
  kNone,
  kStdException,  ///< leaves through the C frame, which a true engine must not do
  kInt,
  kBadAlloc,
  kStatusOutOfMemory,
  kStatusFailed,
  kLoseSamples,  ///< finish() hands out fewer samples than were pushed
};

struct Control {
  // What the next calls do.
  std::atomic<BsmStatus> open_status{BSM_OK};         ///< of model_open
  std::atomic<BsmStatus> stream_open_status{BSM_OK};  ///< of stream_open
  std::atomic<int> load_ms{0};          ///< time of model_open, cancellable between the milliseconds
  std::atomic<bool> block_open{false};  ///< model_open waits until cleared and does not listen to cancel
  std::atomic<bool> block_stream_open{false};  ///< the warm-up waits until cleared
  std::atomic<bool> block_push{false};         ///< an inference waits until cleared
  /// What fails on every device but "cpu", and how.
  std::atomic<BsmStatus> gpu_open_status{BSM_OK}, gpu_stream_open_status{BSM_OK}, gpu_push_status{BSM_OK};
  std::atomic<uint64_t> gpu_bytes{0};  ///< that a device but "cpu" holds; the peak is twice that
  std::atomic<int> stream_open_ms{0};  ///< time of the warm-up
  std::atomic<int> inference_ms{0};    ///< time of one inference
  std::atomic<int64_t> warm_up_ns{1000000};
  std::atomic<int> fail_at_inference{-1};  ///< counted from model_open
  std::atomic<Fault> fault{Fault::kNone};
  std::atomic<int> stems{1};  ///< network outputs of the next model: vocals, drums, bass, other
  std::atomic<int> voice{0};  ///< which of them is called vocals
  std::atomic<int> sample_rate_hz{44100};
  // What happened.
  std::atomic<int> open_models{0}, open_streams{0}, model_opens{0}, stream_opens{0}, resets{0}, finishes{0};
  std::atomic<int> inferences{0};
  std::atomic<int> blocked{0};       ///< calls that are waiting in a block_...
  std::atomic<int> share{-1};        ///< of the last model_open
  std::atomic<uint32_t> threads{0};  ///< the same
  std::atomic<BsmPrecision> precision{BSM_PRECISION_AUTO};
  std::atomic<BsmStreamingMode> streaming_mode{BSM_STREAMING_CARRY};  ///< of the last stream_open
  std::atomic<bool> gpu_model{false};                                 ///< whether it named a file for GPUs
  std::atomic<int64_t> hop_samples{0}, lookahead_samples{0}, context_samples{0};
  std::atomic<int> channels{0};

  /// Back to a well-behaved engine with all counters of events at 0; what is open stays counted.
  void restore() {
    open_status = BSM_OK;
    stream_open_status = BSM_OK;
    load_ms = 0;
    block_open = false;
    block_stream_open = false;
    block_push = false;
    gpu_open_status = gpu_stream_open_status = gpu_push_status = BSM_OK;
    gpu_bytes = 0;
    stream_open_ms = inference_ms = 0;
    warm_up_ns = 1000000;
    fail_at_inference = -1;
    fault = Fault::kNone;
    stems = 1;
    voice = 0;
    share = -1;
    threads = 0;
    precision = BSM_PRECISION_AUTO;
    streaming_mode = BSM_STREAMING_CARRY;
    gpu_model = false;
    sample_rate_hz = 44100;
    model_opens = stream_opens = resets = finishes = inferences = 0;
    hop_samples = lookahead_samples = context_samples = 0;
    channels = 0;
  }
};

using ControlFunc = Control* (*)();
inline constexpr const char* kControlSymbol = "fake_engine_control";

}  // namespace bsm::fake
