#include "train/source_effects.h"

#include <torch/torch.h>

#include <cmath>
#include <numbers>

#include "train/effects.h"

namespace bsm {
namespace {

enum ColourColumn {
  kDrive_db,
  kCrushBits,
  kRing_hz,
  kRingMix,
  kRingPhase,
  kGateStep_s,
  kGateBits,
  kGateShare,
  kGateFloor_db,
  kGateFade_s,
  kGateOffset_s
};

/// `audio` delayed by whole samples, silent before. @param delay int64, broadcast to [F, 2, n]
torch::Tensor delayed(const torch::Tensor& audio, const torch::Tensor& delay) {
  const torch::Tensor place = torch::arange(audio.size(2), delay.options()) - delay;
  const torch::Tensor sound = audio.gather(2, place.clamp_min(0).expand_as(audio));
  return sound * (place >= 0).to(audio.scalar_type());
}

/// Gain of the chopping rhythm. [F, 1, n]
torch::Tensor gate_gain(const RowTable& table, const torch::Tensor& time_s) {
  const torch::Tensor has_gate = table.factors(kGateStep_s) > 0;
  const torch::Tensor step_s = table.factors(kGateStep_s).clamp_min(1e-3);
  const torch::Tensor fade_s = table.factors(kGateFade_s);
  const torch::Tensor steps = (time_s + table.factors(kGateOffset_s)) / step_s;  // since the rhythm began
  const torch::Tensor whole = steps.floor();
  // Bit `whole` of the rhythm: halving by powers of two is exact.
  const torch::Tensor sounds =
      (table.factors(kGateBits) * torch::exp2(-whole.remainder(kGateSteps))).floor().remainder(2);
  const torch::Tensor since_s = (steps - whole) * step_s;
  const torch::Tensor until_s = table.factors(kGateShare) * step_s - since_s;
  const torch::Tensor open = sounds * (torch::minimum(since_s, until_s) / fade_s).clamp(0, 1);
  const torch::Tensor floor = from_db(table.factors(kGateFloor_db));
  return torch::where(has_gate, floor + (1 - floor) * open, torch::ones_like(open));
}

}  // namespace

void list_telephone(size_t source, const EffectDraw& e, RowList& list) {
  if (e.telephone_low_hz > 0) list.add(source, {e.telephone_low_hz, e.telephone_high_hz});
}

void list_colour(size_t source, const EffectDraw& e, RowList& list) {
  if (e.colours())
    list.add(source, {e.drive_db, e.crush_bits, e.ring_hz, e.ring_mix, e.ring_phase, e.gate_step_s,
                      static_cast<double>(e.gate_steps), e.gate_share, e.gate_floor_db, e.gate_fade_s,
                      e.gate_offset_s});
}

void list_double(size_t source, const EffectDraw& e, RowList& list) {
  if (e.has_double)
    list.add(source, {e.double_db, e.double_delay_s[0], e.double_delay_s[1], e.double_depth_s, e.double_hz});
}

void list_echo(size_t source, const EffectDraw& e, RowList& list) {
  if (e.echo_s > 0) list.add(source, {e.echo_s, e.echo_db, e.echo_feedback, e.echo_side});
}

torch::Tensor telephone_gain(const RowTable& table, const torch::Tensor& bin_hz) {
  const torch::Tensor low = (table.values(0).unsqueeze(1) / bin_hz.clamp_min(1)).square();
  const torch::Tensor high = (bin_hz / table.values(1).unsqueeze(1)).square().square();
  return ((1 + low.square()) * (1 + high.square())).rsqrt();
}

torch::Tensor colour(const torch::Tensor& audio, const RowTable& table, const torch::Tensor& time_s) {
  const torch::Tensor peak = audio.abs().amax({1, 2}, /*keepdim=*/true).clamp_min(1e-6);
  torch::Tensor x = audio / peak;
  const torch::Tensor drive = from_db(table.factors(kDrive_db));
  x = torch::where(table.factors(kDrive_db) > 0, (drive * x).tanh() / drive.tanh(), x);
  const torch::Tensor bits = table.factors(kCrushBits);
  const torch::Tensor levels = torch::exp2(bits - 1);
  x = torch::where(bits > 0, (x * levels).round() / levels, x);
  const torch::Tensor mix = table.factors(kRingMix);
  const torch::Tensor carrier =
      (2 * std::numbers::pi * table.factors(kRing_hz) * time_s + table.factors(kRingPhase)).cos();
  return x * (1 - mix + mix * carrier) * gate_gain(table, time_s) * peak;
}

torch::Tensor double_sides(const torch::Tensor& audio, const RowTable& table, const torch::Tensor& time_s,
                           int sample_rate_hz) {
  const torch::Tensor mean_s = torch::stack({table.values(1), table.values(2)}, 1).unsqueeze(2);  // [F, 2, 1]
  const torch::Tensor side = (1 - 2 * torch::arange(2, time_s.options())).view({1, 2, 1});        // +1, -1
  const torch::Tensor waver = (2 * std::numbers::pi * table.factors(4) * time_s).sin() * side;
  const torch::Tensor delay = (mean_s + table.factors(3) * waver) * sample_rate_hz;  // [F, 2, n], samples
  const torch::Tensor whole = delay.floor();
  const torch::Tensor between = delay - whole;
  const torch::Tensor samples = whole.to(torch::kLong);
  const torch::Tensor copy = delayed(audio, samples) * (1 - between) + delayed(audio, samples + 1) * between;
  return audio + copy * from_db(table.factors(0));
}

torch::Tensor echo(const torch::Tensor& audio, const RowTable& table, int sample_rate_hz) {
  const torch::Tensor delay = (table.factors(0) * sample_rate_hz).round().to(torch::kLong);  // [F, 1, 1]
  const torch::Tensor feedback = table.factors(2);
  const torch::Tensor side = table.factors(3);
  const torch::Tensor middle = audio.mean(1, /*keepdim=*/true);
  torch::Tensor gain = from_db(table.factors(1));
  torch::Tensor sum = audio;
  for (int k = 1; k <= kEchoes; ++k) {
    // What is not in the middle moves: the mean of the channels, all on one side.
    torch::Tensor opposite = torch::zeros_like(audio);
    opposite.select(1, k % 2).copy_(2 * middle.select(1, 0));
    sum = sum + gain * delayed((1 - side) * audio + side * opposite, k * delay);
    gain = gain * feedback;
  }
  return sum;
}

}  // namespace bsm
