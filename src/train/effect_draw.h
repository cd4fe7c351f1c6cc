// The random choices of a source's sound effects (see effect_config.h for what they are).
#pragma once

#include <array>
#include <cstdint>

#include "train/effect_config.h"
#include "train/random_stream.h"

namespace bsm {

/// Steps of the rhythm that chops a source.
inline constexpr int kGateSteps = 16;

/// Defaults change nothing. Phases in radians.
struct EffectDraw {
  double shift = 1;  ///< factor on pitch and speed
  bool reversed = false;
  double grain_s = 0;  ///< from one grain to the next, each twice as long; 0: no grains
  double stretch = 1;  ///< factor on how fast time passes, with grains only
  double harmony = 1;  ///< pitch of a second voice relative to the first; 1: none
  double stutter_s = 0;
  int stutter_times = 1;  ///< each slice sounds so often, the next begins where time then is
  double stutter_first_s = 0;
  double stutter_last_s = 0;  ///< it ends with the last whole group of slices before
  double vibrato_hz = 1;
  double vibrato_depth = 0;  ///< largest relative change of pitch
  double vibrato_phase = 0;

  double telephone_low_hz = 0;  ///< 0: no band-pass
  double telephone_high_hz = 0;
  double drive_db = 0;
  double crush_bits = 0;  ///< 0: none
  double ring_hz = 1;
  double ring_mix = 0;  ///< 0: none, 1: ring modulation
  double ring_phase = 0;
  double gate_step_s = 0;   ///< 0: not chopped
  uint32_t gate_steps = 0;  ///< bit k: step k sounds
  double gate_share = 1;    ///< of a step, for which it sounds
  double gate_floor_db = -60;
  double gate_fade_s = 0.005;
  double gate_offset_s = 0;  ///< time in the rhythm at which the crop begins

  bool has_double = false;
  double double_db = 0;                    ///< level of the copies
  std::array<double, 2> double_delay_s{};  ///< mean delay of the left and the right copy
  double double_depth_s = 0;               ///< how far the delays waver
  double double_hz = 1;                    ///< how fast
  double echo_s = 0;                       ///< 0: none
  double echo_db = 0;                      ///< the first echo
  double echo_feedback = 0;                ///< factor from each echo to the next
  double echo_side = 0;                    ///< 0: in the middle, 1: from side to side
  bool has_hall = false;
  double hall_s = 1;
  double hall_db = 0;

  bool warps_time() const { return grain_s > 0 || stutter_times > 1 || vibrato_depth > 0; }
  bool colours() const { return drive_db > 0 || crush_bits > 0 || ring_mix > 0 || gate_step_s > 0; }
};

/// Effects of one source of `length_s` (drawn from `random` only when they can happen at all).
EffectDraw draw_effects(const EffectConfig& config, bool is_voice, double length_s, RandomStream& random);

}  // namespace bsm
