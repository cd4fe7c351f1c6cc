#include "train/draw.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bsm {
namespace {

constexpr int kActiveTries = 16;

std::vector<CropPool> band_pools(const TrackIndex& index, const AugmentConfig& augment) {
  std::vector<std::vector<const IndexedTrack*>> parts(augment.separate_stems ? 4 : 1);
  for (const IndexedTrack& track : index.instrumental)
    parts[augment.separate_stems ? static_cast<size_t>(track.part) : 0].push_back(&track);
  std::vector<CropPool> pools;
  for (auto& part : parts)
    if (!part.empty()) pools.emplace_back(std::move(part), augment.source_activity);
  return pools;
}

std::vector<const IndexedTrack*> pointers(const std::vector<IndexedTrack>& tracks) {
  std::vector<const IndexedTrack*> all;
  for (const IndexedTrack& track : tracks) all.push_back(&track);
  return all;
}

}  // namespace

BatchSampler::BatchSampler(const TrackIndex& index, const AugmentConfig& augment, int64_t segment_samples)
    : index_(index),
      augment_(augment),
      segment_samples_(segment_samples),
      vocals_(pointers(index.vocals), augment.source_activity),
      bands_(band_pools(index, augment)) {}

void BatchSampler::place(SourceDraw& source, const CropPool::Crop& crop) const {
  source.track_first = crop.track->first;
  source.track_frames = crop.track->frames;
  // At its own speed samples are copied, not interpolated.
  source.start =
      static_cast<double>(crop.track->first) + (source.speed == 1 ? std::round(crop.start) : crop.start);
}

/// Its effects too, some of which are changes of speed.
void BatchSampler::draw_speed(SourceDraw& source, RandomStream& random) const {
  source.speed = random.happens(augment_.speed_p) ? random.in(augment_.speed) : 1.0;
  source.effects = draw_effects(augment_.effects, source.role == StemRole::kVocals,
                                static_cast<double>(segment_samples_) / index_.sample_rate_hz, random);
  source.speed *= source.effects.shift;
  source.advance = source.speed * source.effects.stretch;
}

/// A second voice at another pitch, in time with the first.
SourceDraw BatchSampler::harmony(const SourceDraw& voice, RandomStream& random) {
  SourceDraw second = voice;
  second.speed *= voice.effects.harmony;
  if (std::abs(second.speed) > 2) second.speed /= 2;  // an octave below, rather than far beyond the treble
  if (second.effects.grain_s == 0) second.effects.grain_s = random.in(0.05, 0.1);
  second.level_db = random.in(-9, 0);
  return second;
}

double BatchSampler::draw_gain_db(RandomStream& random) const {
  return 20 * std::log10(std::max(random.in(augment_.gain), 1e-6));
}

void BatchSampler::draw_voice(SourceDraw& source, RandomStream& random) const {
  draw_speed(source, random);
  const bool wants_sound = !augment_.source_activity && random.happens(augment_.active_share);
  const double length = source.advance * static_cast<double>(segment_samples_);
  for (int attempt = 0; attempt < kActiveTries; ++attempt) {
    const CropPool::Crop crop = vocals_.draw(random, length);
    place(source, crop);
    if (!wants_sound || sounding_fraction(*crop.track, index_.sample_rate_hz,
                                          std::max<int64_t>(0, static_cast<int64_t>(crop.start)),
                                          static_cast<int64_t>(length)) >= augment_.active_fraction)
      break;
  }
}

void BatchSampler::draw_band(SourceDraw& source, const CropPool& pool, RandomStream& random) const {
  source.role = StemRole::kInstrumental;
  draw_speed(source, random);
  place(source, pool.draw(random, source.advance * static_cast<double>(segment_samples_)));
}

/// Both stems of one song at the same place.
void BatchSampler::draw_same_song(SourceDraw& voice, SourceDraw& band, RandomStream& random) const {
  const auto& [vocals_place, band_place] = index_.songs[random.below(index_.songs.size())];
  const IndexedTrack& vocals = index_.vocals[static_cast<size_t>(vocals_place)];
  const double start = draw_place(random, static_cast<double>(vocals.frames),
                                  voice.advance * static_cast<double>(segment_samples_));
  band.speed = voice.speed;
  band.advance = voice.advance;
  place(voice, {&vocals, start});
  place(band, {&index_.instrumental[static_cast<size_t>(band_place)], start});
}

void BatchSampler::colour(SourceDraw& source, RandomStream& random) const {
  double width = 1;
  if (random.happens(augment_.width_p)) width = random.in(augment_.width);
  // mid/side: L' = M + w S, R' = M - w S with M = (L + R) / 2, S = (L - R) / 2
  const double same = 0.5 + 0.5 * width;
  const double cross = 0.5 - 0.5 * width;
  source.stereo = {same, cross, cross, same};
  if (random.happens(augment_.swap_p)) source.stereo = {cross, same, same, cross};
  if (random.happens(augment_.polarity_p))
    for (double& factor : source.stereo) factor = -factor;
  if (random.happens(augment_.eq_p))
    for (double& knot : source.eq_db) knot = random.in(-augment_.eq_db, augment_.eq_db);
  add_room(source, random);
}

void BatchSampler::add_room(SourceDraw& source, RandomStream& random) const {
  const bool has_hall = source.effects.has_hall;
  if (!random.happens(augment_.reverb_p) && !has_hall) return;
  source.has_reverb = true;
  source.reverb_s = has_hall ? source.effects.hall_s : random.in(augment_.reverb_s);
  source.reverb_db = has_hall ? source.effects.hall_db : random.in(augment_.reverb_db);
  source.reverb_delay_s = random.in(0, 0.05);
  source.reverb_damp_hz = 2000 * std::pow(5.0, random.unit());  // to 10 kHz
  source.reverb_noise = static_cast<int64_t>(random.unit() * kReverbNoises);
}

MixtureDraw BatchSampler::draw_mixture(RandomStream& random) const {
  MixtureDraw mixture;
  const AugmentConfig& a = augment_;
  mixture.vocals_silent = random.happens(a.silence_p);
  mixture.instrumental_silent = !a.separate_stems && random.happens(a.silence_p);
  if (a.balance_levels) {
    mixture.instrumental_db = random.in(a.level_db);
    mixture.vocals_db = mixture.instrumental_db + random.in(a.balance_db);
  } else {
    if (!a.separate_stems) mixture.instrumental_db = draw_gain_db(random);
    mixture.vocals_db = draw_gain_db(random);
  }
  if (random.happens(a.fade_p)) {
    // The pause may begin before the crop (the voice fades in) or end after it (it fades out).
    const double n = static_cast<double>(segment_samples_);
    mixture.pause_start = random.in(-0.5 * n, 0.9 * n);
    mixture.pause_end = std::max(mixture.pause_start, 0.0) + random.in(0.1 * n, 0.7 * n);
    mixture.fade_samples = random.in(0.01, 0.5) * index_.sample_rate_hz;
  }
  mixture.mono = random.happens(a.mono_p);
  if (random.happens(a.compress_p)) {
    mixture.compress_db = random.in(a.compress_db);
    mixture.compress_ratio = random.in(a.compress_ratio);
    mixture.compress_release_s = random.in(a.compress_release_s);
  }
  if (random.happens(a.clip_p)) {
    mixture.clip_db = random.in(a.clip_db);
    mixture.clip_hard = random.happens(0.5);
  }
  if (random.happens(a.band_limit_p)) mixture.band_limit_hz = random.in(a.band_limit_hz);
  return mixture;
}

BatchDraw BatchSampler::draw(uint64_t seed, int64_t first, int batch) const {
  BatchDraw draw;
  draw.sources.resize(static_cast<size_t>(2) * static_cast<size_t>(batch));
  std::vector<SourceDraw> stacked;
  for (int b = 0; b < batch; ++b) {
    RandomStream random(seed, static_cast<uint64_t>(first + b));
    draw.mixtures.push_back(draw_mixture(random));
    SourceDraw& voice = draw.sources[static_cast<size_t>(b)];
    SourceDraw& band = draw.sources[static_cast<size_t>(batch + b)];
    draw_voice(voice, random);
    draw_band(band, bands_[0], random);
    if (!index_.songs.empty() && random.happens(augment_.same_song_p)) draw_same_song(voice, band, random);
    const auto finish = [&](SourceDraw& source) {
      source.mixture = b;
      if (augment_.separate_stems && source.role == StemRole::kInstrumental)
        source.level_db = random.happens(augment_.silence_p) ? -std::numeric_limits<double>::infinity()
                                                             : draw_gain_db(random);
      if (source.effects.reversed) {
        source.start += source.advance * static_cast<double>(segment_samples_);
        source.speed = -source.speed;
        source.advance = -source.advance;
      }
      colour(source, random);
    };
    finish(voice);
    if (voice.effects.harmony != 1) stacked.push_back(harmony(voice, random));
    finish(band);
    for (size_t part = 1; part < bands_.size(); ++part) {
      SourceDraw& other = stacked.emplace_back();
      draw_band(other, bands_[part], random);
      finish(other);
    }
    if (random.happens(augment_.stack_vocals_p)) {
      SourceDraw& second = stacked.emplace_back();
      draw_voice(second, random);
      second.level_db = random.in(augment_.stack_db);
      finish(second);
    }
    if (random.happens(augment_.stack_instrumental_p)) {
      SourceDraw& second = stacked.emplace_back();
      draw_band(second, bands_[0], random);
      second.level_db = random.in(augment_.stack_db);
      finish(second);
    }
  }
  draw.sources.insert(draw.sources.end(), stacked.begin(), stacked.end());
  return draw;
}

}  // namespace bsm
