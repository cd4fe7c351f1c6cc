#include "train/data.h"

#include <torch/torch.h>

#include <cstdio>
#include <filesystem>

#include "core/error.h"
#include "train/assemble.h"
#include "train/library.h"

namespace bsm {

TrainingData load_training_data(const TrainOptions& options, const RunConfig& config,
                                const torch::Device& device,
                                const std::function<void(const std::string&)>& say) {
  namespace fs = std::filesystem;
  const fs::path root = options.data_dir;
  const int rate = config.model.sample_rate_hz;

  std::string valid_dir = options.valid_dir;
  if (valid_dir.empty() && fs::is_directory(root / "valid")) valid_dir = (root / "valid").string();
  std::vector<DecodedTrack> validation;
  if (!valid_dir.empty()) {
    AudioLibrary songs = find_audio(valid_dir);
    if (songs.songs.empty())
      throw Error(ErrorCode::kSettings, "The validation folder " + valid_dir +
                                            " holds no song folders (vocals.* beside "
                                            "accompaniment.* or drums.*, bass.*, other.*).");
    songs.loose.clear();
    validation = decode_tracks(all_tracks(songs), rate, options.decode_threads);
  }

  const fs::path train_dir = fs::is_directory(root / "train") ? root / "train" : root;
  const AudioLibrary library =
      find_audio(train_dir.string(), {valid_dir, (root / "valid").string(), (root / "test").string()});
  std::vector<DecodedTrack> tracks = decode_tracks(all_tracks(library), rate, options.decode_threads);
  check_no_leak(tracks, validation);

  TrainingData data;
  data.index = index_tracks(tracks, rate);
  data.packed = pack_tracks(data.index, std::move(tracks), device);
  data.validation = make_validation_songs(validation, rate, config.training.validate_balance_db);
  char text[256];
  std::snprintf(
      text, sizeof(text),
      "data: %.1f min of voices, %.1f min of instrumentals, %zu songs with both; %zu validation songs",
      data.index.vocals_s() / 60, data.index.instrumental_s() / 60, data.index.songs.size(),
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
