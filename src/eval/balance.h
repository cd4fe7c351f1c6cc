// How loud a voice stands against its band, and songs at a chosen balance.
#pragma once

#include "core/audio.h"

namespace bsm {

/// Scales `vocals` so that, while it sounds (100 ms windows of it above -60 dBFS RMS), its RMS stands
/// `balance_db` above the band's RMS in the same windows (negative: below). False, and nothing changes, when
/// one of them never sounds there.
bool set_balance(AudioBuffer& vocals, const AudioBuffer& accompaniment, int sample_rate_hz,
                 double balance_db);

}  // namespace bsm
