// How loud a voice stands against its band, and mixtures at a chosen balance. No LibTorch.
#pragma once

#include "core/audio.h"

namespace bsm {

/// RMS over all channels of the whole 100 ms windows that sound (RMS above -60 dB relative to full scale); 0
/// where none does.
double sounding_rms(const AudioBuffer& audio, int sample_rate_hz);

/// Scales `vocals` so that its sounding RMS stands `balance_db` above that of `accompaniment` (negative:
/// below). Silent stems stay as they are.
void set_balance(AudioBuffer& vocals, const AudioBuffer& accompaniment, int sample_rate_hz,
                 double balance_db);

}  // namespace bsm
