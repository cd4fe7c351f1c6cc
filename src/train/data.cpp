#include "train/data.h"

#include <torch/torch.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "core/error.h"
#include "train/assemble.h"
#include "train/library.h"
#include "train/musdb18.h"

namespace bsm {

TrainingData load_training_data(const TrainOptions& options, const RunConfig& config,
                                const torch::Device& device,
                                const std::function<void(const std::string&)>& say) {
  namespace fs = std::filesystem;
  const fs::path root = options.data_dir;
  const int rate = config.model.sample_rate_hz;

  std::string valid_dir = options.valid_dir;
  if (valid_dir.empty() && fs::is_directory(root / "valid")) valid_dir = (root / "valid").string();
  const fs::path train_dir = fs::is_directory(root / "train") ? root / "train" : root;
  AudioLibrary library =
      find_audio(train_dir.string(), {valid_dir, (root / "valid").string(), (root / "test").string()});
  AudioLibrary songs;
  if (valid_dir.empty()) {
    songs.songs = take_musdb18_validation(library.songs);
  } else {
    songs = find_audio(valid_dir);
    if (songs.songs.empty())
      throw Error(ErrorCode::kSettings, "The validation folder " + valid_dir +
                                            " holds no song folders (vocals.* beside "
                                            "accompaniment.* or drums.*, bass.*, other.*).");
    songs.loose.clear();
  }
  const AugmentConfig& augment = config.training.augment;
  const std::vector<DecodedTrack> validation = decode_tracks(all_tracks(songs), rate, options.decode_threads);
  std::vector<DecodedTrack> tracks =
      decode_tracks(all_tracks(library, augment.separate_stems), rate, options.decode_threads);
  check_no_leak(tracks, validation);

  TrainingData data;
  const int64_t segment_samples = std::llround(config.training.segment_s * rate);
  data.index = index_tracks(tracks, rate, augment.source_activity ? segment_samples : 0);
  data.packed = pack_tracks(data.index, std::move(tracks), device);
  data.validation = make_validation_songs(validation, rate, config.training.validate_balance_db);
  char text[256];
  std::snprintf(
      text, sizeof(text),
      "data: %.1f min of voices, %.1f min of instrumentals, %zu songs with both; %zu validation songs",
      data.index.vocals_s() / 60, data.index.instrumental_s() / 60, library.songs.size(),
      data.validation.size());
  say(text);
  return data;
}

void share_training_data(TrainingData& data, const RankLink& link, Ranks& ranks,
                         const torch::Device& device) {
  if (link.count() == 1) return;
  std::vector<int64_t> numbers;
  if (link.is_first()) numbers = to_numbers(data.index);
  numbers.resize(link.from_first(numbers.size()));
  const torch::Tensor index = torch::tensor(numbers, torch::kLong).to(device);
  ranks.copy_from_first(index);
  if (!link.is_first()) {
    const torch::Tensor host = index.to(torch::kCPU);
    data.index = from_numbers({host.data_ptr<int64_t>(), host.data_ptr<int64_t>() + host.numel()});
    data.packed = torch::empty({data.index.packed_frames}, torch::TensorOptions(torch::kInt).device(device));
  }
  ranks.copy_from_first(data.packed);
}

}  // namespace bsm
