// Sound effects as electronic music has them on its voices: how often, and how strong. Speech, chopped,
// frozen, transposed and echoed, is as much a voice as dry singing; and an instrument that is chopped is
// none.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "train/range.h"

namespace bsm {

/// A source is processed at all with the probability of its stem; then each effect comes with its own.
struct EffectConfig {
  double voice_p = 0;  ///< per voice
  double band_p = 0;   ///< per instrumental, so that an effect alone does not say "voice"

  double shift_p = 0.3;  ///< pitch, formants and speed together, beyond `speed`
  Range shift_semitones{-12, 7};
  double reverse_p = 0.05;  ///< played backwards
  double stretch_p = 0.2;   ///< overlapping grains: time passes more slowly, down to a frozen sound
  Range stretch{0.03, 1};   ///< time that passes in the recording, of that which passes
  Range grain_s{0.05, 0.3};
  double harmony_p = 0.15;  ///< a second, transposed voice; of voices only
  double stutter_p = 0.15;  ///< slices repeated two to six times
  Range stutter_s{0.06, 0.25};
  double vibrato_p = 0.08;
  Range vibrato_hz{3, 8};
  Range vibrato_cents{20, 150};

  double telephone_p = 0.12;  ///< band-pass: 150..600 Hz to 2..5 kHz
  double drive_p = 0.15;      ///< saturation
  Range drive_db{6, 30};
  double crush_p = 0.05;  ///< few bits a sample
  Range crush_bits{3, 7};
  double ring_p = 0.08;  ///< tremolo to ring modulation
  Range ring_hz{2, 400};
  double gate_p = 0.25;  ///< chopped by a rhythm of 16 steps
  Range gate_hz{2, 16};  ///< steps in a second

  double double_p = 0.35;  ///< a wavering copy on either side: doubling, chorus, width
  Range double_db{-12, 0};
  double echo_p = 0.3;
  Range echo_s{0.1, 0.6};
  Range echo_db{-14, -3};  ///< the first echo
  double hall_p = 0.25;    ///< a room as loud as the voice
  Range hall_s{1, 4};
  Range hall_db{-8, 4};
  bool operator==(const EffectConfig&) const = default;
};

/// Throws Error(kWrongType) as RunConfig::from_json(); `where` names the object in messages.
EffectConfig read_effects(const nlohmann::json& json, const std::string& where);

}  // namespace bsm
