// Every random choice of a mixture, made on the CPU from (seed, number of the mixture): mixture k of a
// training is the same in every run, whatever was drawn before it and whichever process draws it. That makes
// resuming exact, and several processes equal to one with their batches together.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "train/config.h"
#include "train/crop_pool.h"
#include "train/effect_draw.h"
#include "train/random_stream.h"
#include "train/track_index.h"

namespace bsm {

/// Knots of the random equaliser, spaced evenly over log frequency from kEqLow_hz to kEqHigh_hz.
inline constexpr int kEqKnots = 8;
inline constexpr double kEqLow_hz = 60;
inline constexpr double kEqHigh_hz = 14000;
/// Different rooms of one decay.
inline constexpr int64_t kReverbNoises = 16384;

/// One crop of one track, on its way into one stem of one mixture.
struct SourceDraw {
  int mixture = 0;
  StemRole role = StemRole::kVocals;
  int64_t track_first = 0;  ///< in the packed samples
  int64_t track_frames = 0;
  double start = 0;                          ///< in the packed samples; outside the track it is silent
  double speed = 1;                          ///< packed samples per output sample; below 0 backwards
  double advance = 1;                        ///< with grains: packed samples that pass per output sample
  std::array<double, 4> stereo{1, 0, 0, 1};  ///< output (L, R) = [[0, 1], [2, 3]] * input (L, R)
  std::array<double, kEqKnots> eq_db{};
  double level_db = 0;  ///< relative to the first source of its stem; -infinity: silent
  bool has_reverb = false;
  double reverb_s = 1;        ///< time to -60 dB
  double reverb_delay_s = 0;  ///< until the first reflection
  double reverb_db = 0;       ///< energy of the reflections relative to the direct sound
  double reverb_damp_hz = 1;  ///< first-order low-pass on the reflections
  int64_t reverb_noise = 0;   ///< which noise, in [0, kReverbNoises)
  EffectDraw effects;
};

/// What happens to the two stems of one mixture.
struct MixtureDraw {
  bool vocals_silent = false;
  bool instrumental_silent = false;
  double instrumental_db = 0;  ///< sounding RMS of the band (balance_levels), else the factor on it in dB
  double vocals_db = 0;        ///< likewise for the voice
  double pause_start = 0;      ///< pause of the voice, in output samples; none when pause_end <= pause_start
  double pause_end = 0;
  double fade_samples = 1;    ///< length of the fades at its ends, outside the pause
  bool mono = false;          ///< both stems become the mean of their channels
  double compress_db = 0;     ///< threshold below the highest level
  double compress_ratio = 1;  ///< 1: none
  double compress_release_s = 0.1;
  double clip_db = 0;        ///< the sum's peak exceeds the limit by this; 0: no limit
  bool clip_hard = false;    ///< else tanh
  double band_limit_hz = 0;  ///< 0: none
};

/// sources[0..B) are the voices of mixture 0..B-1, sources[B..2B) their instrumentals, then the stacked ones.
struct BatchDraw {
  std::vector<SourceDraw> sources;
  std::vector<MixtureDraw> mixtures;
};

class BatchSampler {
 public:
  /// `index` must outlive the sampler. Output crops are `segment_samples` long.
  BatchSampler(const TrackIndex& index, const AugmentConfig& augment, int64_t segment_samples);

  /// Mixtures first .. first + batch - 1 of the endless sequence of a training with that seed.
  BatchDraw draw(uint64_t seed, int64_t first, int batch) const;

 private:
  void draw_voice(SourceDraw& source, RandomStream& random) const;
  void draw_band(SourceDraw& source, const CropPool& pool, RandomStream& random) const;
  void draw_same_song(SourceDraw& voice, SourceDraw& band, RandomStream& random) const;
  void place(SourceDraw& source, const CropPool::Crop& crop) const;
  void draw_speed(SourceDraw& source, RandomStream& random) const;
  double draw_gain_db(RandomStream& random) const;
  void colour(SourceDraw& source, RandomStream& random) const;
  static SourceDraw harmony(const SourceDraw& voice, RandomStream& random);
  void add_room(SourceDraw& source, RandomStream& random) const;
  MixtureDraw draw_mixture(RandomStream& random) const;

  const TrackIndex& index_;
  AugmentConfig augment_;
  int64_t segment_samples_;
  CropPool vocals_;
  std::vector<CropPool> bands_;  // one, or with separate_stems one for each part
};

}  // namespace bsm
