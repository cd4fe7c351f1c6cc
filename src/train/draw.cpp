#include "train/draw.h"

#include <algorithm>
#include <cmath>

namespace bsm {
namespace {

constexpr int kActiveTries = 16;

std::vector<double> running_sums(const std::vector<IndexedTrack>& tracks) {
  std::vector<double> ends;
  double sum = 0;
  for (const IndexedTrack& track : tracks) ends.push_back(sum += static_cast<double>(track.frames));
  return ends;
}

}  // namespace

/// Own conversions from the engine's 64 bits: the distributions of the standard library differ between
/// libraries.
struct BatchSampler::Random {
  std::mt19937_64 engine;

  /// The stream of one mixture.
  void start(uint64_t seed, uint64_t mixture) {
    std::seed_seq words{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
                        static_cast<uint32_t>(mixture), static_cast<uint32_t>(mixture >> 32)};
    engine.seed(words);
  }
  double unit() { return static_cast<double>(engine() >> 11) * 0x1p-53; }  // [0, 1)
  double in(const Range& range) { return range.low + (range.high - range.low) * unit(); }
  double in(double low, double high) { return low + (high - low) * unit(); }
  bool happens(double probability) { return unit() < probability; }
};

BatchSampler::BatchSampler(const TrackIndex& index, const AugmentConfig& augment, int64_t segment_samples)
    : index_(index),
      augment_(augment),
      segment_samples_(segment_samples),
      vocals_ends_(running_sums(index.vocals)),
      instrumental_ends_(running_sums(index.instrumental)) {}

const IndexedTrack& BatchSampler::pick(const std::vector<IndexedTrack>& pool, const std::vector<double>& ends,
                                       Random& random) const {
  const double at = random.unit() * ends.back();
  const size_t place = std::upper_bound(ends.begin(), ends.end(), at) - ends.begin();
  return pool[std::min(place, pool.size() - 1)];
}

void BatchSampler::place(SourceDraw& source, const IndexedTrack& track, Random& random) const {
  source.track_first = track.first;
  source.track_frames = track.frames;
  // A track shorter than the crop lies anywhere inside it.
  const double spare =
      static_cast<double>(track.frames) - source.speed * static_cast<double>(segment_samples_);
  double start = random.in(std::min(spare, 0.0), std::max(spare, 0.0));
  if (source.speed == 1) start = std::round(start);  // then samples are copied, not interpolated
  source.start = static_cast<double>(track.first) + start;
}

void BatchSampler::colour(SourceDraw& source, Random& random) const {
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

void BatchSampler::add_room(SourceDraw& source, Random& random) const {
  if (!random.happens(augment_.reverb_p)) return;
  source.has_reverb = true;
  source.reverb_s = random.in(augment_.reverb_s);
  source.reverb_db = random.in(augment_.reverb_db);
  source.reverb_delay_s = random.in(0, 0.05);
  source.reverb_damp_hz = 2000 * std::pow(5.0, random.unit());  // to 10 kHz
  source.reverb_noise = static_cast<int64_t>(random.unit() * kReverbNoises);
}

MixtureDraw BatchSampler::draw_mixture(Random& random) const {
  MixtureDraw mixture;
  const AugmentConfig& a = augment_;
  mixture.vocals_silent = random.happens(a.silence_p);
  mixture.instrumental_silent = random.happens(a.silence_p);
  if (a.balance_levels) {
    mixture.instrumental_db = random.in(a.level_db);
    mixture.vocals_db = mixture.instrumental_db + random.in(a.balance_db);
  } else {
    mixture.instrumental_db = 20 * std::log10(std::max(random.in(a.gain), 1e-6));
    mixture.vocals_db = 20 * std::log10(std::max(random.in(a.gain), 1e-6));
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
  Random random;
  BatchDraw draw;
  draw.sources.resize(static_cast<size_t>(2) * batch);
  std::vector<SourceDraw> stacked;

  const auto draw_speed = [&] { return random.happens(augment_.speed_p) ? random.in(augment_.speed) : 1.0; };
  const auto draw_vocals = [&](SourceDraw& source) {
    source.speed = draw_speed();
    const bool wants_sound = random.happens(augment_.active_share);
    const int64_t length = static_cast<int64_t>(source.speed * static_cast<double>(segment_samples_));
    for (int attempt = 0; attempt < kActiveTries; ++attempt) {
      const IndexedTrack& track = pick(index_.vocals, vocals_ends_, random);
      place(source, track, random);
      const int64_t start = std::max<int64_t>(0, static_cast<int64_t>(source.start) - track.first);
      if (!wants_sound ||
          sounding_fraction(track, index_.sample_rate_hz, start, length) >= augment_.active_fraction)
        break;
    }
  };
  const auto draw_instrumental = [&](SourceDraw& source) {
    source.role = StemRole::kInstrumental;
    source.speed = draw_speed();
    place(source, pick(index_.instrumental, instrumental_ends_, random), random);
  };

  for (int b = 0; b < batch; ++b) {
    random.start(seed, static_cast<uint64_t>(first + b));
    draw.mixtures.push_back(draw_mixture(random));
    SourceDraw& voice = draw.sources[b];
    SourceDraw& band = draw.sources[batch + b];
    draw_vocals(voice);
    draw_instrumental(band);
    if (!index_.songs.empty() && random.happens(augment_.same_song_p)) {
      const auto& song =
          index_.songs[static_cast<size_t>(random.unit() * static_cast<double>(index_.songs.size()))];
      const IndexedTrack& vocals = index_.vocals[song.first];
      const IndexedTrack& accompaniment = index_.instrumental[song.second];
      place(voice, vocals, random);
      band.speed = voice.speed;
      band.track_first = accompaniment.first;
      band.track_frames = accompaniment.frames;
      band.start = voice.start - static_cast<double>(vocals.first) + static_cast<double>(accompaniment.first);
    }
    voice.mixture = band.mixture = b;
    colour(voice, random);
    colour(band, random);
    if (random.happens(augment_.stack_vocals_p)) {
      SourceDraw& second = stacked.emplace_back();
      draw_vocals(second);
      second.level_db = random.in(augment_.stack_db);
      second.mixture = b;
      colour(second, random);
    }
    if (random.happens(augment_.stack_instrumental_p)) {
      SourceDraw& second = stacked.emplace_back();
      draw_instrumental(second);
      second.level_db = random.in(augment_.stack_db);
      second.mixture = b;
      colour(second, random);
    }
  }
  draw.sources.insert(draw.sources.end(), stacked.begin(), stacked.end());
  return draw;
}

}  // namespace bsm
