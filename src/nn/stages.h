// Where the time of a separation goes: the code along the way of the signal reports each stage as it ends, to
// an observer that a benchmark sets. Without an observer a report is one load and one branch.
//
// The time between two reports belongs to the later one, so stages need no begin and every moment is counted
// once. What fuses several stages reports them as one (kMixerCore for convolution, scan, gate and norm). A
// replayed CUDA graph reports nothing: while an observer is set, run without graphs.
#pragma once

namespace bsm {

enum class Stage {
  kStft,         ///< samples to frames
  kToDevice,     ///< samples to a GPU
  kBandSplit,    ///< norms and matrices of the bands
  kProjections,  ///< norm and the matrix ahead of a scan or an attention
  kMixerCore,    ///< convolution + scan + gate + norm in one
  kConvScan,     ///< causal convolution and state space scan
  kGateNorm,     ///< gate and norm after the scan
  kAttention,    ///< rotary embedding and attention (BS-RoFormer)
  kFeedForward,  ///< the two matrices after an attention (BS-RoFormer)
  kMerge,        ///< the matrices after a scan or an attention, residual
  kMasks,        ///< final norm, mask heads, complex product
  kFromDevice,   ///< samples of the stems back from a GPU, and out
  kIstft,        ///< estimates to samples (on a CPU: and out)
  kLoss,         ///< training: waveforms and loss
  kBackward,     ///< training: gradients
  kOptimizer,    ///< training: clipping, AdamW, moving average
};
inline constexpr int kStages = static_cast<int>(Stage::kOptimizer) + 1;

/// "band split", "convolution + scan", ...
const char* stage_name(Stage stage);

class StageObserver {
 public:
  virtual void stage_done(Stage stage) = 0;

 protected:
  ~StageObserver() = default;
};

/// The calling thread's observer; null: none.
extern constinit thread_local StageObserver* stage_observer;

inline void stage_done(Stage stage) {
  if (stage_observer != nullptr) stage_observer->stage_done(stage);
}

/// Sets the calling thread's observer for the time of its life.
class StageObserverScope {
 public:
  explicit StageObserverScope(StageObserver* observer) : before_(stage_observer) {
    stage_observer = observer;
  }
  ~StageObserverScope() { stage_observer = before_; }
  StageObserverScope(const StageObserverScope&) = delete;
  StageObserverScope& operator=(const StageObserverScope&) = delete;

 private:
  StageObserver* before_;
};

}  // namespace bsm
