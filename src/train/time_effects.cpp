#include "train/time_effects.h"

#include <torch/torch.h>

#include <numbers>

#include "train/draw.h"

namespace bsm {

void list_time_effects(size_t source, const SourceDraw& draw, int sample_rate_hz, RowList& list) {
  const EffectDraw& e = draw.effects;
  if (!e.warps_time()) return;
  const double turn = 2 * std::numbers::pi * e.vibrato_hz / sample_rate_hz;  // radians per output sample
  list.add(source,
           {draw.advance, e.grain_s * sample_rate_hz, e.stutter_s * sample_rate_hz,
            static_cast<double>(e.stutter_times), e.stutter_first_s * sample_rate_hz,
            e.stutter_last_s * sample_rate_hz, draw.speed * e.vibrato_depth / turn, turn, e.vibrato_phase});
}

ReadPlaces read_places(const RowTable& table, const torch::Tensor& start, const torch::Tensor& speed,
                       const torch::Tensor& time) {
  enum { kAdvance, kGrain, kSlice, kTimes, kFirst, kLast, kDepth, kTurn, kPhase };
  const auto column = [&](int64_t c) { return table.column(c); };

  // Stutter: within each group of slices time begins anew with every slice.
  const torch::Tensor slice = column(kSlice).clamp_min(1);
  const torch::Tensor group = slice * column(kTimes);
  const torch::Tensor since = time - column(kFirst);  // [F, n]
  const torch::Tensor groups = (since / group).floor();
  const torch::Tensor inside = since - groups * group;
  const torch::Tensor repeated = (inside / slice).floor() * slice;
  const torch::Tensor stutters =
      (since >= 0).logical_and((groups + 1) * group <= column(kLast) - column(kFirst));
  const torch::Tensor clock = torch::where(stutters, time - repeated, time.expand_as(since));

  // Grain k begins at time k * step and is read from where the recording then is, at its own speed. Even and
  // odd grains take turns under windows cos^2 that sum to 1.
  const torch::Tensor vibrato = column(kDepth) * (column(kTurn) * time + column(kPhase)).sin();
  const torch::Tensor step = column(kGrain).clamp_min(1);
  const auto grains = [&](int odd) {
    const torch::Tensor grain = 2 * ((clock / step + odd) / 2).floor() - odd;
    return start + column(kAdvance) * grain * step + speed * (clock - grain * step) + vibrato;
  };
  const torch::Tensor has_grains = column(kGrain) > 0;
  const torch::Tensor turn = (clock / step * std::numbers::pi).cos();  // 1 between two even grains
  ReadPlaces places;
  places.first = torch::where(has_grains, grains(0), start + speed * clock + vibrato);
  places.second = grains(1);
  places.second_gain = torch::where(has_grains, 0.5 + 0.5 * turn, torch::zeros_like(turn)).to(torch::kFloat);
  return places;
}

}  // namespace bsm
