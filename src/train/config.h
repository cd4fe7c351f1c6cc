// The training half of a configuration file: {"model": {...}, "training": {...}}.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "nn/config.h"
#include "train/effect_config.h"
#include "train/range.h"

namespace bsm {

/// Random mixing and augmentation. `_p` are probabilities, per stem or per mixture as noted.
struct AugmentConfig {
  /// true: voice and band are levelled (`level_db`, `balance_db`); false: the stems keep the level of their
  /// files times a factor from `gain`, as the paper does.
  bool balance_levels = true;
  /// Drums, bass and other of songs are drawn, silenced and levelled each by itself, from a song each, as the
  /// paper does; only with balance_levels = false and without same_song_p and stack_instrumental_p.
  bool separate_stems = false;
  /// Crops are the active segments of each stem (see source_activity.h), as the paper's, instead of any place
  /// and active_share of the voices.
  bool source_activity = false;
  Range level_db{-34, -14};  ///< RMS of the band while it sounds, dB relative to full scale
  Range balance_db{-15, 6};  ///< RMS of the voice while it sounds, relative to the band's
  Range gain{0.5, 1.5};      ///< only with balance_levels = false
  double silence_p = 0.1;    ///< per stem, independently: it is silent throughout
  double swap_p = 0.5;       ///< per source: left and right exchanged
  double polarity_p = 0.5;   ///< per source: sign changed
  double speed_p = 0.5;      ///< per source: speed and pitch changed together by resampling
  Range speed{0.85, 1.18};
  double eq_p = 0.5;     ///< per source: smooth random equaliser
  double eq_db = 6;      ///< largest gain or cut at a knot of the equaliser
  double width_p = 0.3;  ///< per source: stereo width factor (0 = mono)
  Range width{0, 1.4};
  double stack_instrumental_p = 0.3;  ///< per mixture: a second instrumental is added
  double stack_vocals_p = 0.1;        ///< per mixture: a second voice is added
  Range stack_db{-9, 3};              ///< level of the second relative to the first
  double reverb_p = 0.15;             ///< per source: a synthetic room is added
  Range reverb_s{0.2, 2.2};           ///< its time to -60 dB
  Range reverb_db{-24, -6};           ///< energy of the reflections relative to the direct sound
  double fade_p = 0.2;                ///< per mixture: the voice fades out, in, or both around a pause
  double mono_p = 0.05;               ///< per mixture: both stems are mono
  double compress_p = 0.15;           ///< per mixture: the sum is compressed, both stems by the same gain
  Range compress_db{4, 16};           ///< threshold below the mixture's highest level
  Range compress_ratio{1.5, 8};
  Range compress_release_s{0.05, 0.4};
  double clip_p = 0.05;       ///< per mixture: the sum is limited (tanh or hard), both stems by the same gain
  Range clip_db{1, 8};        ///< how far the sum's peak exceeds the limit
  double band_limit_p = 0.1;  ///< per mixture: low-pass as of lossy codecs, on both stems
  Range band_limit_hz{9000, 19000};
  double active_share = 0.9;     ///< share of voice crops that are chosen for sounding
  double active_fraction = 0.3;  ///< such a crop sounds for at least this part of its length
  double same_song_p = 0.3;  ///< per mixture, when there are song folders: both stems of one song, same time
  EffectConfig effects;      ///< sound effects on single sources
  bool operator==(const AugmentConfig&) const = default;
};

struct TrainingConfig {
  uint64_t seed = 1;
  int batch = 16;      ///< mixtures per forward pass, on each GPU; the learning rate stays what it is
  int accumulate = 1;  ///< forward passes per optimizer step
  bool recompute =
      false;  ///< backward passes compute the inside of blocks again: less memory, a third more time
  double segment_s = 8;
  int64_t steps = 10000;  ///< optimizer steps of the whole schedule
  double learning_rate = 5e-4;
  double final_learning_rate = 0;  ///< at the end of the cosine
  int64_t warmup_steps = 500;
  double weight_decay = 0.01;  ///< on matrices; biases, norms and the scan's scalars have none
  std::array<double, 2> betas{0.9, 0.999};
  double clip = 3;  ///< largest gradient norm
  double ema = 0.999;
  std::string dtype = "bf16";  ///< of the network's activations on CUDA: bf16 or fp32; the CPU takes fp32
  int64_t report_every_steps = 50;
  int64_t validate_every_steps = 1000;
  double validate_window_s = 8;
  /// The voice's level relative to the band's (see eval/balance.h), dB; null: as the songs are.
  std::optional<double> validate_balance_db = -6;
  double save_every_minutes = 4;
  AugmentConfig augment;
  bool operator==(const TrainingConfig&) const = default;
};

struct RunConfig {
  ModelConfig model;
  TrainingConfig training;

  /// Throws Error(kWrongType): unknown keys, wrong types, values that cannot work (`name` is the file's, for
  /// messages).
  static RunConfig from_json(const std::string& text, const std::string& name);
  /// Throws Error: kNotFound, kOpenRead, kWrongType.
  static RunConfig load(const std::string& path);
};

}  // namespace bsm
