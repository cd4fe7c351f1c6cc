// The gains of the pads and the voice that guides singers over the band, changed without clicks.
#pragma once

#include <cstdint>

namespace bsm {

struct Gains {
  double vocals = 1.0, instrumental = 1.0, guide = 0.0;
  bool operator==(const Gains&) const = default;
};

/// instrumental = instrumental gain * (instrumental + guide * vocals); vocals = vocals gain * vocals. Goes
/// from `from` to `to` on a straight line; samples stay as they are, to the bit, where all gains are neutral.
void apply_gains(const Gains& from, const Gains& to, float* vocals, float* instrumental, int64_t frames,
                 int channels);

}  // namespace bsm
