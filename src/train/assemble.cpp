#include "train/assemble.h"

#include <torch/torch.h>

#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

#include "train/source_effects.h"
#include "train/time_effects.h"

namespace bsm {
namespace {

constexpr int kTaps = 16;
constexpr int kPhases = 1024;

/// Kaiser-windowed sinc of full bandwidth at kPhases + 1 fractional positions: phase 0 copies the sample
/// exactly. Speeding up by s aliases what lies above 22.05 / s kHz: inaudible for s up to 1.2, beyond it as
/// in samplers.
torch::Tensor make_kernel() {
  const double beta = 8;
  const auto bessel_i0 = [](double x) {
    double sum = 1;
    double term = 1;
    for (int k = 1; k < 40; ++k) sum += term *= (x / (2 * k)) * (x / (2 * k));
    return sum;
  };
  torch::Tensor kernel = torch::zeros({kTaps, kPhases + 1});
  auto values = kernel.accessor<float, 2>();
  for (int phase = 0; phase <= kPhases; ++phase) {
    for (int tap = 0; tap < kTaps; ++tap) {
      const double distance = tap - (kTaps / 2 - 1) - static_cast<double>(phase) / kPhases;
      const double inside = 1 - std::pow(distance / (kTaps / 2), 2);
      const double window = inside > 0 ? bessel_i0(beta * std::sqrt(inside)) / bessel_i0(beta) : 0;
      const double angle = std::numbers::pi * distance;
      const double sinc =
          distance == std::round(distance) ? (distance == 0 ? 1 : 0) : std::sin(angle) / angle;
      values[tap][phase] = static_cast<float>(window * sinc);
    }
  }
  return kernel;
}

/// Hat functions over log frequency, flat beyond the outer knots.
torch::Tensor make_eq_basis(const torch::Tensor& bin_hz) {
  const double step = std::log(kEqHigh_hz / kEqLow_hz) / (kEqKnots - 1);
  const torch::Tensor place = (bin_hz.clamp_min(1e-3).div(kEqLow_hz).log().div(step))
                                  .clamp(0, kEqKnots - 1)
                                  .unsqueeze(0);                                       // [1, bins]
  const torch::Tensor knots = torch::arange(kEqKnots, bin_hz.options()).unsqueeze(1);  // [knots, 1]
  return (1 - (place - knots).abs()).clamp_min(0);
}

}  // namespace

torch::Tensor pack_tracks(const TrackIndex& index, std::vector<DecodedTrack>&& tracks,
                          const torch::Device& device) {
  torch::Tensor packed = torch::zeros({index.packed_frames}, torch::kInt);
  auto* out = reinterpret_cast<char*>(packed.data_ptr<int32_t>());
  int64_t first = kGuardSamples;
  for (DecodedTrack& track : tracks) {
    std::memcpy(out + first * sizeof(int32_t), track.samples.data(), track.samples.size() * sizeof(int16_t));
    first += track.frames() + kGuardSamples;
    std::vector<int16_t>().swap(track.samples);
  }
  return packed.to(device);
}

/// Effects that few sources have.
enum EffectTable { kTime, kTelephone, kColour, kDouble, kEcho, kRoom, kTables };

/// The draws as columns, R = sources, B = mixtures.
struct BatchAssembler::Parameters {
  torch::Tensor start, speed, first, last;             ///< [R, 1] float64; last: one past the track's end
  torch::Tensor stereo;                                ///< [R, 2, 2]
  torch::Tensor eq_db;                                 ///< [R, knots]
  torch::Tensor level_db;                              ///< [R]
  torch::Tensor mixture;                               ///< [R] int64
  torch::Tensor stem;                                  ///< [R] int64: mixture, + B for instrumentals
  torch::Tensor stem_gain_db;                          ///< [2B]
  torch::Tensor stem_on;                               ///< [2B]: 0 silent, 1
  torch::Tensor pause_start, pause_end, fade_samples;  ///< [B, 1] float64
  torch::Tensor mono;                                  ///< [B]: 0, 1
  torch::Tensor compress_db, compress_ratio, compress_release_s;  ///< [B]
  torch::Tensor clip_db, clip_hard, band_limit_hz;                ///< [B]
  std::array<RowTable, kTables> tables;                           ///< of those sources that have an effect
  bool any_mono = false;
  bool any_compressed = false;
  bool any_clip = false;
};

BatchAssembler::BatchAssembler(torch::Tensor packed, const AugmentConfig& augment, int sample_rate_hz,
                               int64_t segment_samples)
    : packed_(std::move(packed)),
      balance_levels_(augment.balance_levels),
      sample_rate_hz_(sample_rate_hz),
      segment_samples_(segment_samples),
      reverb_(sample_rate_hz, packed_.device()) {
  const torch::Device device = packed_.device();
  kernel_ = make_kernel().to(device);
  bin_hz_ = torch::arange(segment_samples / 2 + 1, torch::kFloat) *
            (static_cast<double>(sample_rate_hz) / segment_samples);
  eq_basis_ = make_eq_basis(bin_hz_).to(device);
  bin_hz_ = bin_hz_.to(device);
  time_ = torch::arange(segment_samples, torch::TensorOptions(torch::kDouble).device(device));
  time_s_ = (time_ / sample_rate_hz).to(torch::kFloat);
}

BatchAssembler::Parameters BatchAssembler::upload(const BatchDraw& draw) const {
  constexpr int kSourceColumns = 11 + kEqKnots;
  constexpr int kMixtureColumns = 14;
  const int64_t sources = static_cast<int64_t>(draw.sources.size());
  const int64_t mixtures = static_cast<int64_t>(draw.mixtures.size());
  std::vector<double> values;
  values.reserve(static_cast<size_t>(sources) * kSourceColumns +
                 static_cast<size_t>(mixtures) * kMixtureColumns);
  for (const SourceDraw& s : draw.sources) {
    const double stem = s.mixture + (s.role == StemRole::kInstrumental ? static_cast<double>(mixtures) : 0.0);
    values.insert(values.end(), {s.start, s.speed, static_cast<double>(s.track_first),
                                 static_cast<double>(s.track_first + s.track_frames), s.level_db,
                                 static_cast<double>(s.mixture), stem});
    values.insert(values.end(), s.stereo.begin(), s.stereo.end());
    values.insert(values.end(), s.eq_db.begin(), s.eq_db.end());
  }
  Parameters p;
  for (const MixtureDraw& m : draw.mixtures) {
    values.insert(values.end(), {m.vocals_db, m.instrumental_db, m.vocals_silent ? 0.0 : 1.0,
                                 m.instrumental_silent ? 0.0 : 1.0, m.pause_start, m.pause_end,
                                 m.fade_samples, m.clip_db, m.clip_hard ? 1.0 : 0.0, m.band_limit_hz,
                                 m.mono ? 1.0 : 0.0, m.compress_db, m.compress_ratio, m.compress_release_s});
    p.any_mono = p.any_mono || m.mono;
    p.any_compressed = p.any_compressed || m.compress_ratio > 1;
    p.any_clip = p.any_clip || m.clip_db != 0;
  }
  std::array<RowList, kTables> lists;
  for (size_t row = 0; row < draw.sources.size(); ++row) {
    const SourceDraw& s = draw.sources[row];
    list_time_effects(row, s, sample_rate_hz_, lists[kTime]);
    list_telephone(row, s.effects, lists[kTelephone]);
    list_colour(row, s.effects, lists[kColour]);
    list_double(row, s.effects, lists[kDouble]);
    list_echo(row, s.effects, lists[kEcho]);
    if (s.has_reverb)
      lists[kRoom].add(row, {s.reverb_s, s.reverb_delay_s, s.reverb_db, s.reverb_damp_hz,
                             static_cast<double>(s.reverb_noise)});
  }
  for (const RowList& list : lists) values.insert(values.end(), list.values.begin(), list.values.end());
  torch::Tensor host = torch::tensor(values, torch::kDouble);
  if (packed_.is_cuda()) host = host.pin_memory();
  const torch::Tensor all = host.to(packed_.device(), /*non_blocking=*/true);
  const torch::Tensor source = all.narrow(0, 0, sources * kSourceColumns).view({sources, kSourceColumns});
  const torch::Tensor mixture =
      all.narrow(0, sources * kSourceColumns, mixtures * kMixtureColumns).view({mixtures, kMixtureColumns});
  const auto column = [](const torch::Tensor& table, int64_t c) { return table.narrow(1, c, 1); };
  p.start = column(source, 0);
  p.speed = column(source, 1);
  p.first = column(source, 2);
  p.last = column(source, 3);
  p.level_db = source.select(1, 4).to(torch::kFloat);
  p.mixture = source.select(1, 5).to(torch::kLong);
  p.stem = source.select(1, 6).to(torch::kLong);
  p.stereo = source.narrow(1, 7, 4).to(torch::kFloat).view({sources, 2, 2});
  p.eq_db = source.narrow(1, 11, kEqKnots).to(torch::kFloat);
  const torch::Tensor by_stem = mixture.narrow(1, 0, 4).to(torch::kFloat).t();  // [4, B]
  p.stem_gain_db = by_stem.narrow(0, 0, 2).reshape({2 * mixtures});
  p.stem_on = by_stem.narrow(0, 2, 2).reshape({2 * mixtures});
  p.pause_start = column(mixture, 4);
  p.pause_end = column(mixture, 5);
  p.fade_samples = column(mixture, 6);
  p.clip_db = mixture.select(1, 7).to(torch::kFloat);
  p.clip_hard = mixture.select(1, 8).to(torch::kFloat);
  p.band_limit_hz = mixture.select(1, 9).to(torch::kFloat);
  p.mono = mixture.select(1, 10).to(torch::kFloat);
  p.compress_db = mixture.select(1, 11).to(torch::kFloat);
  p.compress_ratio = mixture.select(1, 12).to(torch::kFloat);
  p.compress_release_s = mixture.select(1, 13).to(torch::kFloat);
  int64_t place = sources * kSourceColumns + mixtures * kMixtureColumns;
  for (size_t t = 0; t < kTables; ++t) {
    if (lists[t].count == 0) continue;
    const int64_t length = static_cast<int64_t>(lists[t].values.size());
    const torch::Tensor table = all.narrow(0, place, length).view({lists[t].count, -1});
    p.tables[t] = {table.select(1, 0).to(torch::kLong), table.narrow(1, 1, table.size(1) - 1)};
    place += length;
  }
  return p;
}

torch::Tensor BatchAssembler::crops(const Parameters& p) const {
  torch::Tensor places = p.start + p.speed * time_;  // [R, n] float64
  const RowTable& warped = p.tables[kTime];
  if (warped.is_empty()) return read(places, p.first, p.last);
  const auto of_warped = [&](const torch::Tensor& column) { return column.index_select(0, warped.rows); };
  const ReadPlaces read_at = read_places(warped, of_warped(p.start), of_warped(p.speed), time_);
  places.index_copy_(0, warped.rows, read_at.first);
  torch::Tensor sources = read(places, p.first, p.last);
  const torch::Tensor second = read(read_at.second, of_warped(p.first), of_warped(p.last));
  const torch::Tensor first = sources.index_select(0, warped.rows);
  return sources.index_copy_(0, warped.rows, first + read_at.second_gain.unsqueeze(1) * (second - first));
}

torch::Tensor BatchAssembler::read(const torch::Tensor& position, const torch::Tensor& first,
                                   const torch::Tensor& last) const {
  const int64_t rows = position.size(0);
  torch::Tensor whole = position.floor();
  const torch::Tensor phase = ((position - whole) * kPhases).round().to(torch::kLong).view(-1);
  // Far outside the track every tap reads the guard's zeros.
  whole = torch::minimum(torch::maximum(whole, first - (kTaps / 2 + 1)), last + kTaps / 2);
  const torch::Tensor base = (whole.to(torch::kLong) - (kTaps / 2 - 1)).view(-1);
  torch::Tensor sum = torch::zeros({rows * segment_samples_, 2}, kernel_.options());
  for (int tap = 0; tap < kTaps; ++tap) {
    const torch::Tensor stereo =
        packed_.index_select(0, base + tap).view({-1, 1}).view(torch::kShort);      // [R*n, 2]
    const torch::Tensor weight = kernel_[tap].index_select(0, phase).unsqueeze(1);  // [R*n, 1]
    sum.addcmul_(stereo.to(torch::kFloat), weight);
  }
  return sum.mul_(1.0 / 32768).view({rows, segment_samples_, 2}).transpose(1, 2);  // [R, 2, n]
}

torch::Tensor BatchAssembler::spectral_gain(const Parameters& p) const {
  const torch::Tensor eq = from_db(p.eq_db.matmul(eq_basis_));  // [R, bins]
  // Raised-cosine slope from the limit to 1.08 times the limit.
  const torch::Tensor limit = p.band_limit_hz.unsqueeze(1);
  const torch::Tensor across = ((bin_hz_ - limit) / (0.08 * limit).clamp_min(1)).clamp(0, 1);  // [B, bins]
  const torch::Tensor low_pass = torch::where(limit > 0, 0.5 + 0.5 * (across * std::numbers::pi).cos(),
                                              torch::ones({1}, limit.options()));
  torch::Tensor gain = eq * low_pass.index_select(0, p.mixture);  // [R, bins]
  if (const RowTable& table = p.tables[kTelephone]; !table.is_empty())
    gain.index_copy_(0, table.rows, gain.index_select(0, table.rows) * telephone_gain(table, bin_hz_));
  return gain.unsqueeze(1);  // [R, 1, bins]
}

torch::Tensor BatchAssembler::pause_envelope(const Parameters& p) const {
  // 0 inside the pause, rising to 1 over the fade at both ends; squared cosine.
  const torch::Tensor outside = torch::maximum(p.pause_start - time_, time_ - p.pause_end);  // [B, n]
  const torch::Tensor ramp = (outside / p.fade_samples).clamp(0, 1);
  const torch::Tensor smooth = 0.5 - 0.5 * (ramp * std::numbers::pi).cos();
  return torch::where(p.pause_end > p.pause_start, smooth, torch::ones({1}, smooth.options()))
      .to(torch::kFloat)
      .unsqueeze(1);  // [B, 1, n]
}

TrainingBatch BatchAssembler::assemble(const BatchDraw& draw) const {
  const torch::NoGradGuard no_grad;
  const Parameters p = upload(draw);
  const int64_t batch = static_cast<int64_t>(draw.mixtures.size());
  torch::Tensor sources = p.stereo.matmul(crops(p));  // [R, 2, n]
  sources = torch::fft_irfft(torch::fft_rfft(sources) * spectral_gain(p), segment_samples_);
  const auto apply = [&](EffectTable which, const auto& effect) {
    const RowTable& table = p.tables[which];
    if (!table.is_empty())
      sources.index_copy_(0, table.rows, effect(sources.index_select(0, table.rows), table));
  };
  apply(kColour, [&](const torch::Tensor& x, const RowTable& t) { return colour(x, t, time_s_); });
  apply(kDouble, [&](const torch::Tensor& x, const RowTable& t) {
    return double_sides(x, t, time_s_, sample_rate_hz_);
  });
  apply(kEcho, [&](const torch::Tensor& x, const RowTable& t) { return echo(x, t, sample_rate_hz_); });
  apply(kRoom, [&](const torch::Tensor& x, const RowTable& t) {
    const torch::Tensor noise = t.parameters.select(1, 4).to(torch::kLong);
    return reverb_.apply(x, {t.values(0), t.values(1), t.values(2), t.values(3), noise});
  });

  // Each source to its level, sources of a stem added, each stem to its level.
  torch::Tensor level = from_db(p.level_db);
  if (balance_levels_) {
    const torch::Tensor rms = sounding_rms(sources, sample_rate_hz_);
    // A source that does not sound keeps its level; one that barely sounds is raised by 40 dB at most.
    level = level * torch::where(rms > 0, rms.clamp_min(1e-2).reciprocal(), torch::ones({1}, rms.options()));
  }
  torch::Tensor stems = torch::zeros({2 * batch, 2, segment_samples_}, sources.options());
  stems.index_add_(0, p.stem, sources * level.view({-1, 1, 1}));
  stems.mul_((from_db(p.stem_gain_db) * p.stem_on).view({-1, 1, 1}));

  if (p.any_mono)
    stems = torch::where(p.mono.repeat({2}).view({-1, 1, 1}) > 0, stems.mean(1, /*keepdim=*/true), stems);

  TrainingBatch out;
  out.vocals = stems.narrow(0, 0, batch).mul_(pause_envelope(p));
  out.instrumental = stems.narrow(0, batch, batch);
  const auto scale_both = [&out](const torch::Tensor& gain) {
    out.vocals = out.vocals * gain;
    out.instrumental = out.instrumental * gain;
  };
  if (p.any_compressed)
    scale_both(compressor_gain(out.vocals + out.instrumental, p.compress_db, p.compress_ratio,
                               p.compress_release_s, sample_rate_hz_));
  if (p.any_clip) scale_both(limiter_gain(out.vocals + out.instrumental, p.clip_db, p.clip_hard));
  out.mixture = out.vocals + out.instrumental;
  return out;
}

}  // namespace bsm
