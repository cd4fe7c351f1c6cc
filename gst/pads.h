// The source pads by number: the two that are always there, then one for each stem that may be requested.
#pragma once

#include <array>
#include <string>

#include "engine/engine.h"
#include "gst_ptr.h"

namespace bsm {

inline constexpr int kVocals = 0;
inline constexpr int kInstrumental = 1;
inline constexpr int kAlwaysPads = 2;
inline constexpr int kFirstStem = 2;  ///< pad `stem_N` is number kFirstStem + N
inline constexpr int kMaxPads = kFirstStem + BSM_MAX_STEMS;

/// One buffer per pad; NULL for a pad that is not there.
using PadBuffers = std::array<BufferPtr, kMaxPads>;

/// "vocals", "instrumental", "stem_3"
inline std::string pad_name(int pad) {
  if (pad == kVocals) return "vocals";
  if (pad == kInstrumental) return "instrumental";
  return "stem_" + std::to_string(pad - kFirstStem);
}

}  // namespace bsm
