// Trains a separation network from folders of audio (shared network.md, "How the authors train, infer and
// score"). No LibTorch in this header: the program's options go in, a summary comes out, everything else lies
// in files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "train/rank_link.h"

namespace bsm {

struct TrainOptions {
  /// Folder of training audio; DIR/train when that exists. Searched recursively for
  /// - song folders: vocals.* beside accompaniment.* or drums.*, bass.*, other.* (MUSDB18-HQ; mixture.* is
  /// ignored),
  /// - stem pools: every audio file below a folder called `vocals` or `instrumental`.
  std::string data_dir;
  /// Song folders to validate on; empty: data_dir/valid when that exists, else no validation.
  std::string valid_dir;
  std::string config_file;  ///< JSON with the objects `model` and `training` (models/configs/*.json)
  std::string out_dir;      ///< created; holds last.safetensors, best.safetensors, state.safetensors, log.csv
  std::string init_file;    ///< weights to start from (whatever fits is loaded); empty: random
  std::string device = "auto";  ///< auto, cpu, cuda, cuda:N
  /// Wall clock limit of this run, start-up and final save included; 0: none. Without `steps` and
  /// `schedule_minutes` the learning rate runs through (the rest of) its schedule within this time.
  double minutes = 0;
  double schedule_minutes = 0;  ///< when the schedule ends, from the start of this run; 0: at `minutes`
  bool resume = false;          ///< continue exactly from out_dir/state.safetensors
  bool recompute = false;       ///< as if the configuration had training.recompute
  int batch = 0;                ///< replaces training.batch when positive
  int accumulate = 0;           ///< replaces training.accumulate when positive
  int64_t steps =
      0;  ///< replaces training.steps of the configuration when positive; `minutes` then only stops
  int64_t stop_after_steps =
      0;                   ///< ends this run once that many optimizer steps were made in all; 0: at `steps`
  int decode_threads = 0;  ///< 0: one per processor
  /// This process among those that train together. All get the same options; the first alone reads the audio,
  /// validates, writes and reports.
  RankOptions ranks;
  /// Seconds from any fixed moment on; empty: the steady clock. For tests.
  std::function<double()> clock;
  /// Receives each progress line; empty: standard output.
  std::function<void(const std::string& line)> report;
};

struct TrainSummary {
  int64_t step = 0;          ///< optimizer steps made in all
  double loss = 0;           ///< mean over the last reporting interval
  double trained_s = 0;      ///< wall clock of all runs of this training
  double last_usdr_db = 0;   ///< vocals, NaN without validation
  double best_usdr_db = 0;   ///< NaN without validation
  bool interrupted = false;  ///< by SIGINT, SIGTERM or the time limit, before the end of the schedule
};

/// Runs until the configured steps, `minutes`, SIGINT or SIGTERM (the last three end in a saved state that
/// `resume` continues). Throws Error: kSettings, kNotFound, kOpenRead, kOpenWrite, kWrongType, kLibrary,
/// kCancelled (another process of this training ended).
TrainSummary train(const TrainOptions& options);

}  // namespace bsm
