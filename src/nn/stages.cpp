#include "nn/stages.h"

namespace bsm {

constinit thread_local StageObserver* stage_observer = nullptr;

const char* stage_name(Stage stage) {
  switch (stage) {
    case Stage::kStft:
      return "STFT";
    case Stage::kToDevice:
      return "to device";
    case Stage::kBandSplit:
      return "band split";
    case Stage::kProjections:
      return "projections";
    case Stage::kMixerCore:
      return "mixer core";
    case Stage::kConvScan:
      return "convolution + scan";
    case Stage::kGateNorm:
      return "gate + norm";
    case Stage::kAttention:
      return "attention";
    case Stage::kFeedForward:
      return "feed-forward";
    case Stage::kMerge:
      return "merge";
    case Stage::kMasks:
      return "masks";
    case Stage::kFromDevice:
      return "from device";
    case Stage::kIstft:
      return "iSTFT";
    case Stage::kLoss:
      return "loss";
    case Stage::kBackward:
      return "backward";
    case Stage::kOptimizer:
      return "optimizer";
  }
  return "unknown";
}

}  // namespace bsm
