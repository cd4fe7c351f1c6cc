// Effects on the sound of single sources: colour (saturation, few bits, ring modulation, a chopping rhythm),
// copies beside it, echoes. For whole batches on the device, without waiting for it. Each function takes the
// audio of the table's sources and gives it back with the effect. [F, 2, n] -> [F, 2, n]
#pragma once

#include <torch/types.h>

#include "train/effect_draw.h"
#include "train/row_table.h"

namespace bsm {

/// Each adds the source's row when it has the effect.
void list_telephone(size_t source, const EffectDraw& effects, RowList& list);
void list_colour(size_t source, const EffectDraw& effects, RowList& list);
void list_double(size_t source, const EffectDraw& effects, RowList& list);
void list_echo(size_t source, const EffectDraw& effects, RowList& list);

/// Gains of a band-pass, 12 dB per octave below and 24 above it. @param bin_hz [bins] @return [F, bins]
torch::Tensor telephone_gain(const RowTable& table, const torch::Tensor& bin_hz);

/// @param time_s of each sample [n] float32
torch::Tensor colour(const torch::Tensor& audio, const RowTable& table, const torch::Tensor& time_s);

/// Left and right get a copy each, at delays that waver against each other.
torch::Tensor double_sides(const torch::Tensor& audio, const RowTable& table, const torch::Tensor& time_s,
                           int sample_rate_hz);

/// kEchoes echoes; from side to side each one stands opposite to the one before.
inline constexpr int kEchoes = 8;
torch::Tensor echo(const torch::Tensor& audio, const RowTable& table, int sample_rate_hz);

}  // namespace bsm
