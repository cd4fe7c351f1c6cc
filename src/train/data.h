// From folders to what the loop needs: packed training audio on the device, and validation songs.
#pragma once

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/ranks.h"
#include "train/track_index.h"
#include "train/train.h"
#include "train/validation.h"

namespace bsm {

struct TrainingData {
  TrackIndex index;
  torch::Tensor packed;  ///< see pack_tracks()
  std::vector<ValidationSong> validation;
};

/// Finds (see TrainOptions), decodes, checks that training and validation share no recording, uploads.
/// Throws Error: kSettings, kNotFound, kOpenRead, kWrongType.
TrainingData load_training_data(const TrainOptions& options, const RunConfig& config,
                                const torch::Device& device,
                                const std::function<void(const std::string&)>& say);

/// Copies the first process's training audio, not its validation songs, to the devices of the others.
void share_training_data(TrainingData& data, const RankLink& link, Ranks& ranks, const torch::Device& device);

}  // namespace bsm
