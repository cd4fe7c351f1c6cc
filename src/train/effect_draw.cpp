#include "train/effect_draw.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace bsm {
namespace {

double octaves(double semitones) { return std::exp2(semitones / 12); }
/// Uniform over log: every octave as likely.
double in_log(const Range& range, RandomStream& random) {
  return range.low * std::pow(range.high / range.low, random.unit());
}
double phase(RandomStream& random) { return 2 * std::numbers::pi * random.unit(); }

void draw_time(EffectDraw& e, const EffectConfig& c, bool is_voice, double length_s, RandomStream& random) {
  if (random.happens(c.shift_p)) e.shift = octaves(random.in(c.shift_semitones));
  e.reversed = random.happens(c.reverse_p);
  if (random.happens(c.stretch_p)) {
    e.grain_s = in_log(c.grain_s, random);
    e.stretch = in_log(c.stretch, random);
  }
  if (is_voice && random.happens(c.harmony_p)) {
    constexpr std::array<double, 8> kIntervals{-12, -7, -5, 3, 4, 5, 7, 12};
    e.harmony = octaves(kIntervals[random.below(kIntervals.size())]);
  }
  if (random.happens(c.stutter_p)) {
    e.stutter_s = in_log(c.stutter_s, random);
    e.stutter_times = 2 + static_cast<int>(random.below(5));
    e.stutter_first_s = random.in(0, 0.7 * length_s);
    e.stutter_last_s = e.stutter_first_s + random.in(0.2 * length_s, length_s);
  }
  if (random.happens(c.vibrato_p)) {
    e.vibrato_hz = random.in(c.vibrato_hz);
    e.vibrato_depth = std::exp2(random.in(c.vibrato_cents) / 1200) - 1;
    e.vibrato_phase = phase(random);
  }
}

void draw_gate(EffectDraw& e, const EffectConfig& c, RandomStream& random) {
  e.gate_step_s = 1 / in_log(c.gate_hz, random);
  const bool regular = random.happens(0.4);
  for (int step = 0; step < kGateSteps; ++step)
    if (random.happens(0.65) || regular) e.gate_steps |= 1u << step;
  e.gate_steps |= 1u << random.below(kGateSteps);  // never quite silent
  e.gate_share = random.in(0.4, 0.95);
  e.gate_floor_db = random.in(-60, -10);
  e.gate_fade_s = random.in(0.002, 0.02);
  e.gate_offset_s = random.unit() * kGateSteps * e.gate_step_s;
}

void draw_colour(EffectDraw& e, const EffectConfig& c, RandomStream& random) {
  if (random.happens(c.telephone_p)) {
    e.telephone_low_hz = random.in(150, 600);
    e.telephone_high_hz = random.in(2000, 5000);
  }
  if (random.happens(c.drive_p)) e.drive_db = random.in(c.drive_db);
  if (random.happens(c.crush_p)) e.crush_bits = random.in(c.crush_bits);
  if (random.happens(c.ring_p)) {
    e.ring_hz = in_log(c.ring_hz, random);
    e.ring_mix = random.in(0.3, 1);
    e.ring_phase = phase(random);
  }
  if (random.happens(c.gate_p)) draw_gate(e, c, random);
}

void draw_space(EffectDraw& e, const EffectConfig& c, RandomStream& random) {
  if (random.happens(c.double_p)) {
    e.has_double = true;
    e.double_db = random.in(c.double_db);
    for (double& delay_s : e.double_delay_s) delay_s = random.in(0.006, 0.035);
    e.double_depth_s = random.in(0, 0.004);
    e.double_hz = random.in(0.2, 3);
  }
  if (random.happens(c.echo_p)) {
    e.echo_s = random.in(c.echo_s);
    e.echo_db = random.in(c.echo_db);
    e.echo_feedback = random.in(0.2, 0.75);
    e.echo_side = random.happens(0.5) ? random.unit() : 0;
  }
  if (random.happens(c.hall_p)) {
    e.has_hall = true;
    e.hall_s = random.in(c.hall_s);
    e.hall_db = random.in(c.hall_db);
  }
}

}  // namespace

EffectDraw draw_effects(const EffectConfig& config, bool is_voice, double length_s, RandomStream& random) {
  EffectDraw effects;
  const double p = is_voice ? config.voice_p : config.band_p;
  if (p == 0 || !random.happens(p)) return effects;
  draw_time(effects, config, is_voice, length_s, random);
  draw_colour(effects, config, random);
  draw_space(effects, config, random);
  return effects;
}

}  // namespace bsm
